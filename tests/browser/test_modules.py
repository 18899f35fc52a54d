"""Modules of the page that work on text alone, as the browser loads them."""

from __future__ import annotations

import csv
import difflib
import io
import json
import random
import shlex
import subprocess
from typing import Any

import pytest
from playwright.sync_api import expect

from airflow_rest_api.commands.catalog import load_catalog
from tests.browser.conftest import Visit

pytestmark = pytest.mark.airflow

IMPORT = (
    "const load = name => import(document.querySelector('script[type=module]').src.replace('main.js', name));"
)
LINES = f"""async ([calls, how]) => {{
    {IMPORT}
    const {{ Lines }} = await load('lib/lines.js');
    const lines = new Lines(how);
    for (const [method, ...values] of calls) lines[method](...values);
    return {{ rows: lines.rows.map(row => row.gap ?? [row.stream, row.text]), dropped: lines.dropped,
              text: lines.text(), stderr: lines.shown('stderr') }};
}}"""
DIFFERENCE = f"""async (pairs) => {{
    {IMPORT}
    const {{ difference }} = await load('lib/diff.js');
    return pairs.map(([before, after]) => difference(before, after));
}}"""


SNIPPETS = f"""async (cases) => {{
    {IMPORT}
    const {{ commandLine, curl }} = await load('lib/snippets.js');
    const {{ argumentsOf, toAddress }} = await load('lib/arguments.js');
    const all = (await (await fetch('v2/commands')).json()).commands;
    return await Promise.all(cases.map(async ([path, values, file]) => {{
        const summary = all.find(one => one.path === path);
        const args = argumentsOf(summary, await (await fetch('v2/commands/' + path)).json());
        if (file) values.file = new File(['x'], file);
        return {{ line: commandLine(summary, args, values), curl: curl(summary, args, values),
                  address: toAddress(args, values).map(([name]) => name) }};
    }}));
}}"""


RENEWED = f"""async (cases) => {{
    {IMPORT}
    const {{ renewed }} = await load('views/operations/list.js');
    const listed = ids => ids.map(id => ({{ id }}));
    return cases.map(([known, next, found, then]) => {{
        const before = {{ key: 'k', operations: listed(known), next, error: null }};
        const now = renewed(before, 'k', {{ operations: listed(found), next: then }});
        return [now.operations.map(one => one.id), now.next];
    }});
}}"""


def lines(visit: Visit, *calls: list[Any], **how: int) -> dict[str, Any]:
    found: dict[str, Any] = visit().open().evaluate(LINES, [calls, how])
    return found


def test_pieces_become_lines_each_in_its_stream(visit: Visit):
    found = lines(
        visit,
        ["add", "stdout", "one\ntw"],
        ["add", "stderr", "warn"],
        ["add", "stdout", "o\n\nlast"],
        ["add", "stderr", "ing\n"],
        ["gap", "stdout", 120],
        ["add", "stdout", "after\n"],
    )

    out, err = "stdout", "stderr"
    assert found["rows"] == [
        [out, "one"],
        [out, "two"],
        [err, "warning"],
        [out, ""],
        [out, "last"],
        120,
        [out, "after"],
    ]
    assert found["stderr"] == [2]


def test_a_carriage_return_writes_over_its_line(visit: Visit):
    found = lines(
        visit,
        ["add", "stdout", "10 %\r20 %"],
        ["add", "stdout", "\r"],
        ["add", "stdout", "30 %\nwindows\r\nnext\r"],
        ["add", "stdout", "\n"],
    )

    assert [text for _, text in found["rows"]] == ["30 %", "windows", "next"]


def test_a_long_line_goes_on_in_the_next_row_and_is_one_line_as_text(visit: Visit):
    found = lines(visit, ["add", "stdout", "x" * 5000 + "\n"])

    assert [len(text) for _, text in found["rows"]] == [2000, 2000, 1000]
    assert found["text"] == "x" * 5000 + "\n"


def test_the_oldest_rows_go(visit: Visit):
    text = "".join(f"{number}\n" for number in range(250))
    found = lines(visit, ["add", "stdout", text], ["add", "stderr", "end"], mostRows=100)

    assert found["dropped"] + len(found["rows"]) == 251
    assert len(found["rows"]) <= 100
    assert found["rows"][-1] == ["stderr", "end"]
    assert found["stderr"] == [250]


def test_a_difference_is_that_of_diff(visit: Visit):
    seeded = random.Random(7)
    pairs = [("", "new\n"), ("old\n", ""), ("same\n", "same\n"), ("a\nb", "a\nb\n")]
    for _ in range(200):
        before = [f"{seeded.randrange(12)}\n" for _ in range(seeded.randrange(40))]
        after = list(before)
        for _ in range(seeded.randrange(8)):
            at = seeded.randrange(len(after) + 1)
            after[at : at + seeded.randrange(2)] = [f"new {seeded.randrange(9)}\n"] * seeded.randrange(2)
        pairs.append(("".join(before), "".join(after)))
    told = visit().open().evaluate(DIFFERENCE, pairs)

    assert told[0] == "@@ -0,0 +1,1 @@\n+new\n"
    assert told[2] == ""
    assert told[3].endswith("-b\n\\ No newline at end of file\n+b\n")
    for (before, after), difference in zip(pairs[4:], told[4:], strict=True):
        assert patched(before, difference) == after
        # Nobody needs to be shown more than Python's would show.
        theirs = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0)
        assert changes(difference.splitlines()) <= changes(theirs)


def patched(before: str, difference: str) -> str:
    """Apply a unified difference of lines that all have an end."""
    old, new, at = before.splitlines(keepends=True), [], 0
    for line in difference.splitlines(keepends=True):
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            begin = int(start) - (1 if int(count) else 0)
            new += old[at:begin]
            at = begin
        elif line[0] == "+":
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            new += [line[1:]] if line[0] == " " else []
            at += 1
    return "".join(new + old[at:])


def changes(difference: Any) -> int:
    """Count the lines that are added or removed."""
    return sum(1 for line in difference if line[0] in "+-" and not line.startswith(("+++", "---")))


@pytest.mark.parametrize(
    ("path", "values", "line"),
    [
        ("variables/set", {"key": "k", "value": "-$5"}, "airflow variables set -- k '-$5'"),
        ("variables/set", {"key": "k", "value": "-v hello"}, "airflow variables set -- k '-v hello'"),
        ("variables/export", {}, "airflow variables export variables.json"),
        ("variables/export", {"file": "mine.json"}, "airflow variables export mine.json"),
        ("pools/set", {"pool": "p", "slots": "1", "description": " "}, "airflow pools set p 1 ' '"),
        (
            "dags/trigger",
            {"dag_id": "d", "conf": '{"dsn": "postgresql://etl:pa55@db/x"}'},
            "airflow dags trigger --conf '<conf>' d",
        ),
    ],
)
def test_the_command_line_means_what_the_form_says(
    visit: Visit, path: str, values: dict[str, str], line: str
):
    [found] = visit().open().evaluate(SNIPPETS, [[path, values]])
    assert found["line"] == line
    assert "a.conf" not in found["address"]
    assert "pa55" not in found["curl"]
    words = shlex.split(found["line"])[1:]
    assert load_catalog().parse(words)


def test_values_that_follow_one_flag_do_not_take_what_comes_behind(visit: Visit):
    found = (
        visit()
        .open()
        .evaluate(
            f"""async () => {{
            {IMPORT}
            const {{ commandLine }} = await load('lib/snippets.js');
            const several = {{ type: 'list', repeatable: true, together: true }};
            const list = {{ name: 'x', flags: ['-x', '--xs'], ...several }};
            const place = {{ name: 'dag_id', type: 'text', flags: [] }};
            return commandLine({{ name: 'c', path: 'c' }}, [list, place], {{ x: 'a b\\nc', dag_id: 'd' }});
        }}"""
        )
    )
    assert found == "airflow c --xs 'a b' c -- d"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("plain", "plain"),
        ('say "a, b"', '"say ""a, b"""'),
        ("two\nlines", '"two\nlines"'),
        (" blank", '" blank"'),
        ("=1+2", "'=1+2"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3*cmd()", "'-2+3*cmd()"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("@A1", "'@A1"),
        ("-1-2", "'-1-2"),
        ("-A1/B1", "'-A1/B1"),
        ("+.5", "+.5"),
        ("\t=1", "'\t=1"),
        ("-12.5e3", "-12.5e3"),
        ("@daily", "@daily"),
        ("-", "-"),
        ("ü 😀", "ü 😀"),
    ],
)
def test_a_field_of_csv_is_itself_and_no_formula(visit: Visit, text: str, field: str):
    made = (
        visit()
        .open()
        .evaluate(
            f"async text => {{ {IMPORT} return (await load('lib/csv.js')).csv(['name'], [[text]]); }}", text
        )
    )

    assert made == f"name\r\n{field}\r\n"
    [row] = csv.DictReader(io.StringIO(made, newline=""))
    assert row["name"].lstrip("'") == text


@pytest.mark.parametrize(
    ("known", "found", "shown"),
    [
        # Of the page that came anew, the oldest is among those that are known: nothing is missing.
        ((["4", "3", "2", "1"], "1"), (["5", "4"], "4"), (["5", "4", "3", "2", "1"], "1")),
        # More came than a page has: what lies between is asked for with the next one.
        ((["4", "3", "2", "1"], "1"), (["9", "8"], "8"), (["9", "8"], "8")),
        # What the page went through is like nothing that is looked for, and does not end there.
        ((["4", "3"], "3"), ([], "8"), (["4", "3"], "3")),
        (([], None), ([], "8"), ([], "8")),
        # All there is.
        ((["4", "3"], "3"), (["5"], None), (["5"], None)),
    ],
)
def test_a_list_that_renews_itself_has_no_gap(
    visit: Visit, known: tuple[Any, Any], found: tuple[Any, Any], shown: tuple[Any, Any]
):
    assert visit().open().evaluate(RENEWED, [[*known, *found]]) == [list(shown)]


def test_json_of_a_variable_with_a_secret_in_it_is_not_copied(visit: Visit):
    secret, plain = '{"password": "hunter2", "host": "db"}', "no token in here"
    values = [{"key": "settings", "value": value} for value in (secret, plain)]
    found = visit().open().evaluate(SNIPPETS, [["variables/set", one] for one in values])
    assert ["hunter2" in "".join(map(str, one.values())) for one in found] == [False, False]
    assert plain in found[1]["curl"]


def test_the_name_of_a_file_is_one_name_to_curl(visit: Visit):
    names = ["plain.json", "prod,vars.json", 'a"b;c.json']
    found = visit().open().evaluate(SNIPPETS, [["variables/import", {}, name] for name in names])
    lines = [shlex.split(one["curl"].replace("\\\n", " ")) for one in found]
    parts = [line[line.index("-F") + 1] for line in lines]
    assert parts == ["file=@plain.json", 'file=@"prod,vars.json"', 'file=@"a\\"b;c.json"']


def test_a_command_line_hides_nothing_from_who_reads_it_or_pastes_it_into_a_terminal(visit: Visit):
    words = ["a\u202eb'c\\d\x1b[201~\n2", "\x01", "\u2066", "\x9b", "it's", "a\tb\nc", "é €", "plain"]
    told = (
        visit()
        .open()
        .evaluate(
            f"""async words => {{
            {IMPORT}
            const {{ plain, quoted, visible }} = await load('lib/text.js');
            return [words.map(quoted), words.map(visible).map(plain)];
        }}""",
            words,
        )
    )

    for word, quoted in zip(words, told[0], strict=True):
        echo = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True)
        assert echo.stdout == word.encode()
        assert all(sign in "\t\n" or sign.isprintable() for sign in quoted)
    assert told[1][0] == "a\\u202eb'c\\d\n2"
    assert told[1][4:] == words[4:]


def test_what_is_too_long_for_an_address_leaves_room_for_what_is_not(visit: Visit):
    values = {"dag_id": "d", "conf": json.dumps({"text": "x" * 5000}), "run_id": "r"}
    [found] = visit().open().evaluate(SNIPPETS, [["dags/trigger", values]])
    assert sorted(found["address"]) == ["a.dag_id", "a.run_id"]


def test_what_could_not_be_done_stays_until_it_is_put_away(visit: Visit):
    visitor = visit()
    visitor.page.clock.install()
    page = visitor.open()
    page.evaluate(
        f"""async () => {{ {IMPORT} const {{ toast }} = await load('parts/toast.js');
            toast('It was done.'); toast('It could not be done.', 'bad'); }}"""
    )
    expect(page.locator(".toast")).to_have_text(["It was done.", "It could not be done."])
    page.clock.fast_forward(10_000)
    expect(page.locator(".toast")).to_have_text(["It could not be done."])
    page.get_by_role("button", name="Put away").click()
    expect(page.locator(".toast")).to_have_count(0)


def test_words_of_others_hide_nothing(visit: Visit):
    """What turns the order of signs around stands as an escape, in a message and in the names of a param."""
    page = visit().open()
    told = page.evaluate(
        f"""async text => {{
            {IMPORT}
            const [{{ html, render }}, {{ ErrorNotice }}, {{ toast }}, {{ fieldsOf }}] = await Promise.all(
                ['vendor/preact.js', 'parts/basic.js', 'parts/toast.js', 'lib/params.js'].map(load));
            const place = document.createElement('div');
            render(html`<${{ErrorNotice}} error=${{{{ message: text, retryAfter: 3 }}}} />`, place);
            toast(text);
            const param = {{ value: 1, description: text, schema: {{ title: text, section: text }} }};
            const [field] = fieldsOf({{ param }});
            return [place.textContent.trim(), field.label, field.hint, field.section];
        }}""",
        "safe \u202eexe.",
    )

    assert told == ["safe \\u202eexe. Try again in 3 s.", *["safe \\u202eexe."] * 3]
    assert page.locator(".toast").inner_text() == "safe \\u202eexe."


def test_a_number_that_a_script_has_not_is_told_of(visit: Visit):
    """What is shown as JSON, as a table and as CSV would be another number, such as the id of a row."""
    texts = ["[1, 2.5, null]", '{"a": [{"id": 9007199254740991}]}', '{"a": [{"id": 1234567890123456789}]}']
    page = visit().open()
    told = page.evaluate(
        f"""async texts => {{
            {IMPORT}
            const [{{ html, render }}, {{ Result }}] = await Promise.all(
                ['vendor/preact.js', 'parts/result.js'].map(load));
            return texts.map(text => {{
                const place = document.createElement('div');
                render(html`<${{Result}} value=${{JSON.parse(text)}} />`, place);
                return place.textContent.includes('too large for this page');
            }});
        }}""",
        texts,
    )

    assert told == [False, False, True]
