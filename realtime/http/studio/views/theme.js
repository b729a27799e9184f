/** Light, dark, or as the system is. */

import { byId } from "../dom.js";

const KEY = "stagewire.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const NAMES = { auto: "as the system", light: "light", dark: "dark" };

export function themeView() {
  const button = byId("theme");

  function show(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme-icon").setAttribute("href", `/studio/icons.svg#${theme}`);
    button.ariaLabel = button.title = `Colours: ${NAMES[theme]}`;
  }

  button.addEventListener("click", () => {
    const theme = NEXT[document.documentElement.dataset.theme];
    show(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Then it is the theme until the page is loaded again.
    }
  });
  show(document.documentElement.dataset.theme);
}
