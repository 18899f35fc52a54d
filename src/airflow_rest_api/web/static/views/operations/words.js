/** An operation in few words. */
import { visible } from "../../lib/text.js";

const TODAY = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

/** The time of today, or day and time. */
export function ago(iso) {
  const date = new Date(iso);
  return (date.toDateString() === new Date().toDateString() ? TODAY : DAY).format(date);
}

/** The line without the name of the command, where it begins with that: what is ours begins otherwise. */
export function argumentsIn({ argv, command }) {
  const words = command.split(" ");
  return visible((words.every((word, index) => argv[index] === word) ? argv.slice(words.length) : argv).join(" "));
}
