/** What the window is like, for what a style sheet cannot do. */
import { useEffect, useState } from "../vendor/preact.js";

/** Whether a media query holds; renders again when that changes. */
export function useMedia(query) {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const look = () => setHolds(media.matches);
    look();
    media.addEventListener("change", look);
    return () => media.removeEventListener("change", look);
  }, [query]);
  return holds;
}
