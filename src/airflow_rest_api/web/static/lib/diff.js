/** The difference between two texts, line by line, as `diff -u` tells it. */

const CONTEXT = 3;
/** Changes beyond which no shorter way is looked for: the time grows with their square. */
const MOST = 2000;

/** Return the unified difference without its head; empty where there is none. */
export function difference(before, after) {
  if (before === after) return "";
  const [old, fresh] = [lines(before), lines(after)];
  return hunks(edits(old, fresh), old, fresh);
}

// A last line without its end is another line than with it.
const lines = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Return the places where lines are the same, as `[start of old, start of new, length]`, with an end of length 0. */
function edits(old, fresh) {
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < fresh.length - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail += 1;
  const middle = common(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail));
  const same = [[0, 0, head], ...middle.map(([a, b]) => [a + head, b + head, 1]), [old.length - tail, fresh.length - tail, tail]];
  return [...same.filter(([, , length]) => length), [old.length, fresh.length, 0]];
}

/** Return the pairs of places of equal lines by Myers' algorithm (An O(ND) Difference Algorithm, 1986). */
function common(a, b) {
  const most = Math.min(a.length + b.length, MOST);
  // By diagonal, from -most - 1 on: how far one comes in `a` at the cost of the round.
  const zero = most + 1;
  const reached = new Int32Array(2 * most + 3);
  const trace = [];
  for (let cost = 0; cost <= most; cost++) {
    trace.push(reached.slice(zero - cost - 1, zero + cost + 2));
    for (let k = -cost; k <= cost; k += 2) {
      const [less, more] = [reached[zero + k - 1], reached[zero + k + 1]];
      let x = k === -cost || (k !== cost && less < more) ? more : less + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reached[zero + k] = x;
      if (x >= a.length && x - k >= b.length) return back(trace, a.length, b.length);
    }
  }
  return [];
}

function back(trace, x, y) {
  const pairs = [];
  for (let cost = trace.length - 1; cost >= 0; cost--) {
    const reached = (diagonal) => trace[cost][diagonal + cost + 1];
    const k = x - y;
    const down = k === -cost || (k !== cost && reached(k - 1) < reached(k + 1));
    const from = down ? k + 1 : k - 1;
    const beginX = cost === 0 ? 0 : reached(from);
    const beginY = cost === 0 ? 0 : beginX - from;
    while (x > beginX && y > beginY) pairs.push([(x -= 1), (y -= 1)]);
    [x, y] = [beginX, beginY];
  }
  return pairs.reverse();
}

/** Put changes that are near to one another together, with what is around them. */
function hunks(same, old, fresh) {
  const changes = [];
  let [a, b] = [0, 0];
  for (const [startA, startB, length] of same) {
    if (startA > a || startB > b) changes.push([a, startA, b, startB]);
    [a, b] = [startA + length, startB + length];
  }
  const groups = [];
  for (const change of changes) {
    const group = groups.at(-1);
    if (group && change[0] - group.at(-1)[1] <= 2 * CONTEXT) group.push(change);
    else groups.push([change]);
  }
  return groups.map((group) => hunk(group, old, fresh)).join("");
}

function hunk(group, old, fresh) {
  const lead = Math.min(CONTEXT, group[0][0]);
  const fromA = group[0][0] - lead;
  const fromB = group[0][2] - lead;
  const toA = Math.min(group.at(-1)[1] + CONTEXT, old.length);
  const toB = Math.min(group.at(-1)[3] + CONTEXT, fresh.length);
  const said = [];
  let at = fromA;
  for (const [startA, endA, startB, endB] of group) {
    said.push(...old.slice(at, startA).map(marked(" ")), ...old.slice(startA, endA).map(marked("-")), ...fresh.slice(startB, endB).map(marked("+")));
    at = endA;
  }
  said.push(...old.slice(at, toA).map(marked(" ")));
  return `@@ -${range(fromA, toA)} +${range(fromB, toB)} @@\n${said.join("")}`;
}

const marked = (mark) => (line) => (line.endsWith("\n") ? `${mark}${line}` : `${mark}${line}\n\\ No newline at end of file\n`);
const range = (from, to) => `${to > from ? from + 1 : from},${to - from}`;
