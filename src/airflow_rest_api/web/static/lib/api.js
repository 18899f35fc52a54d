/**
 * Requests to the plugin and to Airflow, as the user of the session. Scripts of this site may use Airflow's cookie
 * (docs/authentication.md); nothing here reads it but where Airflow's own API takes none.
 */
import { facts } from "./facts.js";
import { authorization, headerToken, headerTokenGiven, sessionEnded, signedInAgain } from "./session.js";
import { size } from "./text.js";

/** An answer that is an error: `message` is for people, `reason` for programs, `detail` all there is. */
export class ApiError extends Error {
  constructor(status, detail, retryAfter = null) {
    super(detail.message);
    this.status = status;
    this.reason = detail.reason ?? "error";
    this.argument = detail.argument ?? null;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/** What is said of a request whose answer is not known, where it was to do something. */
export const PERHAPS = "It may have been carried out all the same.";

/** Whether a server that answered so, or not at all, is away or busy: what was refused would be refused again. */
export const comesBack = ({ status }) => !(status >= 400) || [429, 502, 503, 504].includes(status);

/** Whether an error is none of the API's answers: nothing came, or something of a proxy's, or what the server did not foresee. */
export const isLost = ({ reason, status }) => ["unreachable", "internal_error"].includes(reason) || (reason === "error" && !(status >= 400 && status < 500));

function told(error, method = "GET") {
  if (method !== "GET" && isLost(error)) error.message += ` ${PERHAPS}`;
  return error;
}

/**
 * Send a request and return the Response, waiting for the user where the session has ended or the header token is
 * asked for; such a request was not carried out, so that sending it again is safe.
 *
 * @param {string} path below the plugin, such as `/v2/commands`; with `airflow`, below Airflow's `/api/v2`
 * @param {object} options method, json, form (FormData), headers, signal, airflow;
 *   patient: false for what is not worth bothering the user about; read(answer): what an answer of 400 and above says, an
 *   ApiError, or null where it is to be returned all the same
 * @throws {ApiError} every answer of 400 and above, and none at all (status 0)
 */
export async function send(path, options = {}) {
  const { method = "GET", json, form, headers = {}, signal, airflow = false, patient = true, read = problem } = options;
  let again = false;
  for (;;) {
    // Whoever signs in meanwhile may be somebody else.
    if (sessionEnded()) {
      if (!patient) throw new ApiError(401, { reason: "unauthenticated", message: "The session has ended." });
      await signedInAgain();
    }
    const request = { method, headers: { Accept: "application/json", ...authorization(), ...headers }, signal, cache: "no-store" };
    // Whoever signed in since, in another tab: nothing is done in their name.
    if (!airflow) request.headers["X-Rest-Api-User"] = encodeURIComponent(facts.user);
    if (json !== undefined) {
      request.body = JSON.stringify(json);
      request.headers["Content-Type"] = "application/json";
    } else if (form) {
      request.body = form;
    }
    const token = headerToken();
    if (facts.header_token && token && !airflow) request.headers[facts.header_token] = encodeHeader(token);
    let answer;
    try {
      answer = await fetch(airflow ? `${facts.airflow}/api/v2${path}` : facts.root + path, request);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      const wrong = form && (await whatIsWrong(form));
      throw told(new ApiError(0, wrong ? { reason: "not_sent", message: wrong } : { reason: "unreachable", message: "The API server cannot be reached." }), method);
    }
    if (answer.ok) return answer;
    const error = await read(answer);
    if (!error) return answer;
    // Once: where there is a session and it does not count, asking on and on would not help.
    if (error.status === 401 && patient && !again) {
      again = true;
      await signedInAgain();
      continue;
    }
    if (error.reason === "header_token" && !airflow) {
      await headerTokenGiven();
      continue;
    }
    throw told(error, method);
  }
}

/** Send a request and return the JSON of its answer; null for an empty one. */
export async function call(path, options = {}) {
  const answer = await send(path, options);
  let text;
  try {
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw told(new ApiError(0, { reason: "unreachable", message: "The connection broke off before the answer was there." }), options.method);
  }
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    throw told(new ApiError(answer.status, { reason: "error", message: "The answer is not one of this API: it may come from a proxy in between." }), options.method);
  }
}

/** Why the browser could not send a form, in a sentence; nothing where that is not known. */
async function whatIsWrong(form) {
  const files = [...form.values()].filter((value) => value instanceof File);
  for (const file of files) {
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      return `${file.name} has changed since it was chosen: choose it again.`;
    }
  }
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  return bytes > facts.max_upload ? `These are ${size(bytes)}; the server takes ${size(facts.max_upload)}.` : null;
}

/** Ask Airflow's own API. */
export const airflow = (path, options = {}) => call(path, { ...options, airflow: true });

/**
 * Follow server-sent events until the one called `end`, over lost connections, each time from where it was.
 *
 * @param {string} path such as `/v2/operations/<id>/events`
 * @param {(event: {type: string, data: any, id: string|null}) => void} onEvent
 * @param {object} options signal; after (an event id); last: names of events that end it
 */
export async function follow(path, onEvent, { signal, after = null, last = ["end"] } = {}) {
  let pause = 500;
  for (;;) {
    try {
      const headers = { Accept: "text/event-stream", ...(after ? { "Last-Event-ID": after } : {}) };
      const answer = await send(path, { headers, signal });
      for await (const event of events(answer.body)) {
        pause = 500;
        if (event.id !== null) after = event.id;
        onEvent(event);
        if (last.includes(event.type)) return;
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error instanceof ApiError && !comesBack(error)) throw error;
    }
    if (signal?.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, 10_000);
  }
}

/** Read server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) off a body. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { type: "message", data: [], id: null };
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (event.data.length) yield { type: event.type, id: event.id, data: parsed(event.data.join("\n")) };
          event = { type: "message", data: [], id: null };
          continue;
        }
        const colon = line.indexOf(":");
        if (colon === 0) continue;
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") event.type = text;
        else if (field === "data") event.data.push(text);
        else if (field === "id") event.id = text;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function problem(answer) {
  const retryAfter = Number(answer.headers.get("Retry-After")) || null;
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // Not from us: a proxy in between, most likely.
  }
  const detail = body?.detail;
  if (detail && typeof detail === "object" && !Array.isArray(detail)) return new ApiError(answer.status, detail, retryAfter);
  const message = typeof detail === "string" ? detail : `The server answered with ${answer.status} ${answer.statusText}`.trim() + ".";
  return new ApiError(answer.status, { reason: "error", message, body }, retryAfter);
}

// A header takes latin-1 alone; the server compares with both spellings of the rest.
function encodeHeader(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
