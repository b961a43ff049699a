// Asks the proxy: one request at a time, each bounded, with an error that says what kind of trouble it is.

/** Longest wait for an answer: the proxy itself gives up on a driver after five seconds. */
const PATIENCE = 8_000;

/** There is no answer of the kind that was asked for, and the page is not to blame. */
export class Unanswered extends Error {}

/** The proxy cannot be reached, or does not answer in time. */
export class Lost extends Unanswered {}

/** It wants another password than the browser sends. */
export class Denied extends Unanswered {}

/** It answers, and says why it cannot give what was asked for. */
export class Refused extends Unanswered {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** Where the API is. The page may have been opened with the password in its address, which fetch does not take. */
const base = new URL('api/v1/', document.baseURI);
base.username = '';
base.password = '';

/** Gives the JSON at a path of the API. */
export async function ask(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value != null && value !== '');
  const address = new URL(path, base);
  address.search = new URLSearchParams(given);
  let response;
  let body;
  try {
    response = await fetch(address, {
      // Only programs accept nothing but JSON. So the proxy does not have the browser ask for a password every two
      // seconds after its token was changed: the page says it instead.
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      signal: AbortSignal.timeout(PATIENCE),
    });
    body = await response.json();
  } catch (error) {
    // No connection, no answer in time, or no JSON: whoever answers is not the proxy.
    throw new Lost(error.message);
  }
  if (response.ok) return body;
  if (response.status === 401 || response.status === 403) throw new Denied(body.error);
  throw new Refused(response.status, body.error ?? response.statusText);
}
