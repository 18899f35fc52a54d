/* Follows the light or dark of Airflow. Airflow's UI keeps its choice in localStorage as "theme" (light, dark or
   system) and on its own <html> as a class; with neither, the system decides. Runs before the first paint. */
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const choice = () => {
    try {
      const outer = parent !== window ? parent.document.documentElement.classList : null;
      if (outer?.contains("dark")) return "dark";
      if (outer?.contains("light")) return "light";
    } catch {
      // A frame of another site; its document is none of our business.
    }
    let kept = null;
    try {
      kept = localStorage.getItem("theme");
    } catch {
      // Storage is switched off.
    }
    return kept === "dark" || kept === "light" ? kept : system.matches ? "dark" : "light";
  };
  const follow = () => {
    const found = choice();
    // Any other word that Airflow keeps in its storage comes by here as well.
    if (document.documentElement.dataset.theme !== found) document.documentElement.dataset.theme = found;
  };
  follow();
  system.addEventListener("change", follow);
  addEventListener("storage", follow);
  try {
    if (parent !== window) {
      document.documentElement.dataset.framed = "";
      new MutationObserver(follow).observe(parent.document.documentElement, { attributeFilter: ["class"] });
    }
  } catch {
    // As above.
  }
})();
