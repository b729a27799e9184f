/* Runs before anything is drawn, so that a chosen theme does not flash. `views/theme.js` changes it. */
document.documentElement.dataset.theme = localStorage.getItem("stagewire.theme") ?? "auto";
