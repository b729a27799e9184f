/** The first view: who are you? */

import { byId, part } from "../dom.js";
import { faultWords } from "../words.js";

/** `signIn.byName(user, role)` and `signIn.byToken(token)` throw an Error with a sentence. */
export function signInView(dev, signIn) {
  const form = byId(dev ? "signin-by-name" : "signin-by-token");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { user, role, token } = Object.fromEntries(new FormData(form));
    await submit(form, () => (dev ? signIn.byName(user.trim(), role) : signIn.byToken(token.trim())));
  });
  return {
    heading: byId("signin-heading"),
    open: () => form.elements[0].focus(),
    close: () => form.reset(),
  };
}

/** Does what a form asks for, once at a time, and says why where it fails. */
export async function submit(form, action) {
  if (form.ariaBusy) return;
  const fault = part(form, "fault");
  form.ariaBusy = "true";
  fault.textContent = "";
  try {
    await action();
  } catch (error) {
    fault.textContent = faultWords(error);
  } finally {
    form.ariaBusy = null;
  }
}
