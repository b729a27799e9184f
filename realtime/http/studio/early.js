/* Runs before anything is drawn, so that a chosen theme does not flash. `views/theme.js` changes it. */
document.documentElement.dataset.theme = (() => {
  try {
    const theme = localStorage.getItem("stagewire.theme");
    return theme === "light" || theme === "dark" ? theme : "auto";
  } catch {
    // The browser keeps nothing for this page.
    return "auto";
  }
})();
