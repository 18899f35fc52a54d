/** Finding commands by what one remembers of them. */

/**
 * Return the commands that have all words somewhere, the best first.
 *
 * @param {object[]} commands as the API lists them
 * @param {string} text
 * @returns {{command: object, because: string|null}[]} because: the argument that has the words, or the everyday word that
 *   they begin, where the name has not
 */
export function find(commands, text) {
  const words = text.toLowerCase().split(/[\s/]+/).filter(Boolean);
  if (!words.length) return commands.map((command) => ({ command, because: null, rank: 0 }));
  const found = [];
  for (const command of commands) {
    let rank = 0;
    let because = null;
    const fits = words.every((word) => {
      const [more, argument] = weight(command, word);
      rank += more;
      because ??= argument;
      return more > 0;
    });
    if (fits) found.push({ command, because, rank: command.name.replace(/ /g, " ") === words.join(" ") ? rank + 100 : rank });
  }
  return found.sort((a, b) => b.rank - a.rank || a.command.name.localeCompare(b.command.name));
}

function weight(command, word) {
  const name = command.name.toLowerCase();
  if (name.split(/[ -]/).some((part) => part.startsWith(word))) return [12, null];
  if (name.includes(word)) return [9, null];
  const also = word.length > 2 && command.also.find((one) => one.startsWith(word));
  if (also) return [7, `“${also}”`];
  const argument = command.arguments.find((one) => one.name.toLowerCase().replace(/_/g, "-").includes(word.replace(/_/g, "-").replace(/^--?/, "")));
  if (argument) return [4, argument.name];
  if (command.help.toLowerCase().includes(word)) return [3, null];
  const told = command.arguments.find((one) => one.help?.toLowerCase().includes(word));
  return told ? [1, told.name] : [0, null];
}
