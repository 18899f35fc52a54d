/** Requests about DAG files. */
import { call, send } from "./api.js";

/** The address of a file below the API, with what is asked of it. */
export function filePath(file, what = "", query = {}) {
  const entries = Object.entries({ path: file.path, bundle: file.bundle, ...query });
  const params = new URLSearchParams(entries.filter(([, value]) => value != null && value !== ""));
  return `/v2/dag-files/file${what && `/${what}`}?${params}`;
}

/** The content of a file, or of one of its versions, as a Blob. */
export async function content(file, version = null) {
  return (await send(filePath(file, "content", { version }), { headers: { Accept: "*/*" } })).blob();
}

/** The same as text; null where it is none, or there is no such file. */
export async function contentText(file, version = null) {
  try {
    return textOf(await content(file, version));
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** The text in a Blob or a File; null where it is not text. */
export async function textOf(blob) {
  if (blob.size > 4_000_000) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await blob.arrayBuffer());
  } catch {
    return null;
  }
}

/** Start work on files; returns the operation at once. `headers`: that make it be done once (`lib/once.js`). */
export const begin = (path, { headers = {}, ...options }) => call(path, { headers: { Prefer: "respond-async", ...headers }, ...options });

/** All files of a bundle, page after page: `onPage` gets those that are known so far, and whether there are more. */
export async function allFiles(bundle, signal, onPage) {
  let found = [];
  let cursor = null;
  do {
    const query = new URLSearchParams({ bundle, limit: 1000, ...(cursor ? { cursor } : {}) });
    const page = await call(`/v2/dag-files?${query}`, { signal });
    found = [...found, ...page.files];
    cursor = page.next;
    onPage(found, cursor !== null);
  } while (cursor !== null);
}

/** The folders in which there are files, by their names. */
export function foldersOf(files) {
  const found = new Set();
  for (const { path } of files) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) found.add(path.slice(0, at));
  }
  return [...found].sort();
}

/** What is said of a version's or a deployment's change, in a word. */
export const CHANGES = {
  added: "added",
  changed: "changed",
  unchanged: "the same",
  deleted: "deleted",
  outside: "changed outside",
};
