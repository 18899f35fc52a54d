// What cannot be seen as it should be, one sentence each; see tests/browser/geometry.py.
() => {
  const faults = [];
  const say = (what, element, more = '') => {
    const name = `${element.tagName.toLowerCase()}.${element.className?.baseVal ?? element.className}`;
    faults.push(`${what}: ${name} ${JSON.stringify((element.innerText ?? '').slice(0, 60))} ${more}`);
  };
  const style = element => getComputedStyle(element);
  const dialogs = [...document.querySelectorAll('dialog[open]')];
  const scope = dialogs.at(-1) ?? document.body;
  const box = rect => ({ left: rect.left, top: rect.top, right: rect.right, bottom: rect.bottom });
  const meet = (a, b) => ({ left: Math.max(a.left, b.left), top: Math.max(a.top, b.top),
                            right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom) });
  const wide = rect => rect.right - rect.left;
  const high = rect => rect.bottom - rect.top;
  const empty = rect => wide(rect) < 1 || high(rect) < 1;
  const SLACK = 1.5;

  // 1. The document stays where it is.
  for (const element of [document.documentElement, document.body, document.getElementById('app')]) {
    if (element.scrollHeight > element.clientHeight + 1) say('scrolls down', element, element.scrollHeight);
    if (element.scrollWidth > element.clientWidth + 1) say('scrolls sideways', element, element.scrollWidth);
    if (element.scrollTop || element.scrollLeft) say('is scrolled', element);
  }
  const head = document.querySelector('header.head').getBoundingClientRect();
  if (Math.abs(head.top) > 0.5) say('head is away', document.querySelector('header.head'), head.top);
  // A pane that scrolls to the side hides what is there; what is meant to be wide has a place of its own.
  for (const element of document.querySelectorAll('main, .scroll, .pane-detail, .pane-list, .page, .dialog-body')) {
    if (element.scrollWidth > element.clientWidth + 1) say('scrolls sideways', element, element.scrollWidth);
  }

  const hidden = element => !element.checkVisibility({ opacityProperty: true, visibilityProperty: true,
    contentVisibilityAuto: true }) || element.closest('.away, .skip, .toasts, datalist, option') !== null;
  // What an element's overflow leaves of a box; says where it is cut without a mark of it.
  const seen = (rect, element, cut) => {
    const clipped = { left: false, top: false, right: false, bottom: false };
    let left = box(rect);
    let scrolled = false;
    for (let outer = element; outer && outer !== document.documentElement; outer = outer.parentElement) {
      const how = style(outer);
      const inner = outer.getBoundingClientRect();
      // What can be scrolled, and shows no sign of it, is cut to who looks at it.
      const scrolls = value => (value === 'auto' || value === 'scroll') && how.scrollbarWidth !== 'none';
      const clips = value => !scrolls(value) && value !== 'visible';
      const marked = how.textOverflow === 'ellipsis' || how.webkitLineClamp !== 'none' || outer.matches('select, input, textarea');
      if (clips(how.overflowX) && !scrolled && !marked && cut &&
          (left.left < inner.left - SLACK || left.right > inner.right + SLACK)) say('is cut at the side', element, outer.className);
      if (clips(how.overflowY) && !scrolled && !marked && cut &&
          (left.top < inner.top - SLACK || left.bottom > inner.bottom + SLACK)) say('is cut in height', element, outer.className);
      if (how.overflowX !== 'visible' || how.overflowY !== 'visible') left = meet(left, inner);
      if (scrolls(how.overflowX) || scrolls(how.overflowY)) scrolled = true;
      if (empty(left)) return null;
      if (how.position === 'fixed') break;
    }
    const window_ = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
    const inside = meet(left, window_);
    if (cut && (wide(left) > wide(inside) + SLACK || high(left) > high(inside) + SLACK)) say('is out of the window', element);
    return empty(inside) ? null : inside;
  };

  // 2. Texts, fields and pictures: each can be seen, or scrolled to.
  const boxes = [];
  const walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || hidden(element) || element.matches('textarea, select, style, script')) continue;
    const range = document.createRange();
    for (const { 0: word, index } of element.matches('pre, code, pre *, code *, dd, td, .entry-because') ? [] : node.data.matchAll(/\p{Script=Latin}{2,18}/gu)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const tops = [...range.getClientRects()].map(rect => rect.top);
      if (tops.length && Math.max(...tops) - Math.min(...tops) > 4) say('breaks a word', element, word);
    }
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      if (empty(rect)) continue;
      const left = seen(rect, element, true);
      if (left) boxes.push({ element, rect: left, text: node.data.trim().slice(0, 40) });
    }
  }
  const canvas = document.createElement('canvas').getContext('2d');
  for (const element of scope.querySelectorAll('input, select, textarea, button, svg, .track')) {
    if (hidden(element) || element.matches('[type=file], .switch input')) continue;
    const left = seen(element.getBoundingClientRect(), element, true);
    if (!left) continue;
    boxes.push({ element, rect: left, text: element.getAttribute('aria-label') ?? element.tagName });
    if (element.matches('button, .button') && element.scrollWidth > element.clientWidth + 1 && style(element).overflowX === 'visible') say('is wider than its button', element);
    if (element.matches('input[placeholder]') && !element.value) {
      const how = style(element);
      canvas.font = `${how.fontWeight} ${how.fontSize} ${how.fontFamily}`;
      const room = element.clientWidth - parseFloat(how.paddingLeft) - parseFloat(how.paddingRight);
      if (canvas.measureText(element.placeholder).width > room + 2) say('placeholder is cut', element, element.placeholder);
    }
  }

  // 3. None of them lies over another.
  const within = (one, other) => one === other || one.contains(other) || other.contains(one);
  // A picture in a field has a padding of its own; the head of a table stays while its rows go below it.
  const meant = one => one.closest('.select, .search, thead, .log-end, .log-empty') !== null;
  for (let a = 0; a < boxes.length; a++) {
    for (let b = a + 1; b < boxes.length; b++) {
      const [one, other] = [boxes[a], boxes[b]];
      if (within(one.element, other.element) || meant(one.element) || meant(other.element)) continue;
      const both = meet(one.rect, other.rect);
      if (wide(both) > 2 && high(both) > 2) say('lies over', one.element, `${JSON.stringify(one.text)} and ${JSON.stringify(other.text)}`);
    }
  }
  // 4. What can be clicked is not below something else.
  for (const element of scope.querySelectorAll('a[href], button:not(:disabled), input, select, textarea, summary')) {
    if (hidden(element) || element.matches('[type=file], .switch input')) continue;
    const [first] = element.getClientRects();
    const left = first && seen(first, element, false);
    if (!left || wide(left) < 6 || high(left) < 6) continue;
    const at = document.elementFromPoint((left.left + left.right) / 2, (left.top + left.bottom) / 2);
    // The head of a table stays while its rows go below it.
    if (at?.closest('thead') && !element.closest('thead')) continue;
    if (at && !element.contains(at) && !at.closest('label')?.contains(element)) say('cannot be clicked', element, `for ${at.className}`);
  }
  return [...new Set(faults)];
}
