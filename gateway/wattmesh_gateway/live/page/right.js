// The right to see all of it: a reading token, kept for this tab until it is closed, and shown with each question.

const KEY = "wattmesh-reading-token";
const LINK = "#token=";

/** Whether this tab has a token; one that comes with the address is taken from there, so that it stays nowhere else. */
export function entered() {
  if (location.hash.startsWith(LINK)) {
    sessionStorage.setItem(KEY, location.hash.slice(LINK.length));
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) !== null;
}

/** `fetch`, with the token. Who is refused leaves. */
export async function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const answer = await fetch(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } });
  if (answer.status === 401) leave();
  return answer;
}

/** Try a token; true, and the page begins anew, if it opens this gateway's. */
export async function enter(token) {
  const answer = await fetch("api/street", { headers: { Authorization: `Bearer ${token}` } });
  if (answer.status === 401) return false;
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  sessionStorage.setItem(KEY, token);
  location.reload();
  return true;
}

export function leave() {
  sessionStorage.removeItem(KEY);
  location.reload();
}
