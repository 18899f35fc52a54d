/** What is laid over the page when the session has ended, or the header token is asked for. */
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { facts, framed } from "../lib/facts.js";
import { giveHeaderToken, headerToken, look, openLogin, watch } from "../lib/session.js";
import { Button } from "./basic.js";
import { Dialog } from "./dialog.js";
import { TextField } from "./fields.js";

export function SessionOverlay() {
  const [state, setState] = useState({});
  useEffect(() => watch(setState), []);
  if (state.ended) return html`<${Ended} other=${state.other} />`;
  if (state.tokenAsked) return html`<${TokenAsked} />`;
  return null;
}

function Ended({ other }) {
  const tab = useRef(null);
  useEffect(() => {
    const check = async () => {
      if (document.visibilityState === "visible" || tab.current) (await look()) && !framed && tab.current?.close();
    };
    // It may be that somebody else has signed in.
    check();
    const timer = setInterval(check, 2000);
    document.addEventListener("visibilitychange", check);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", check);
    };
  }, []);
  if (other) {
    const anew = html`<${Button} kind="primary" icon="refresh" onClick=${() => location.reload()} autofocus>Load the page as ${other}<//>`;
    return html`<${Dialog} key="other" title="You are signed in as ${other}" footer=${anew}>
      <p>Before, you were ${facts.user}: what was asked for last was not sent. The address of this page keeps the command and its arguments.</p>
    <//>`;
  }
  const footer = html`<${Button} kind="primary" icon="external" onClick=${() => (tab.current = openLogin())} autofocus>Sign in<//>`;
  return html`<${Dialog} title="Your session has ended" footer=${footer}>
    <p>Sign in to Airflow again: it opens in a new tab. This page then goes on where it was, and nothing you typed is lost.</p>
  <//>`;
}

function TokenAsked() {
  const [token, setToken] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (token) giveHeaderToken(token);
  };
  const footer = html`<${Button} kind="primary" type="submit" form="header-token">Continue<//>`;
  return html`<${Dialog} title="A header token is asked for" footer=${footer}>
    <form id="header-token" onSubmit=${submit}>
      <p>Besides your session, this server wants the token that goes into the header <code>${facts.header_token}</code>.
        ${headerToken() ? " The one you gave is not right." : ""} It is kept until you close this tab.</p>
      <${TextField} label="Token" type="password" value=${token} onInput=${setToken} required wide autofocus />
    </form>
  <//>`;
}
