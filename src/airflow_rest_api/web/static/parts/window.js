/** Which rows of a long list are in sight: the others are not in the document. */
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";

const MARGIN = 12;

/**
 * @param {number} count of rows
 * @param {number} height of each, in pixels
 * @returns {{ref, first: number, last: number, before: number, after: number}} ref: for the element that scrolls; the
 *   rows from first up to (not including) last are to be rendered, between spaces of so many pixels
 */
export function useWindow(count, height) {
  const ref = useRef();
  const [range, setRange] = useState([0, 60]);
  const measure = () => {
    const element = ref.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / height) - MARGIN);
    const last = first + Math.ceil(element.clientHeight / height) + 2 * MARGIN;
    setRange((before) => (before[0] === first && before[1] === last ? before : [first, last]));
  };
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, [height, ref.current]);
  useLayoutEffect(measure, [count]);
  const first = Math.min(range[0], Math.max(0, count - 1));
  const last = Math.min(range[1], count);
  return { ref, first, last, before: first * height, after: Math.max(0, count - last) * height };
}
