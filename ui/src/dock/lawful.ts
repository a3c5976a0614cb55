// The terminal writes style elements and style attributes, which the page's policy refuses, as it must.
// The build (vite.config.ts) has it call these instead: both end where the policy allows them, in
// constructed style sheets and single style properties.

/** Stands for a style element: what becomes its text is a style sheet of the page. */
export function styleElement(): HTMLElement {
  const element = document.createElement('span');
  const sheet = new CSSStyleSheet();
  element.hidden = true;
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', {
    get: () => '',
    set: (text: string) => sheet.replaceSync(text),
  });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}

/** As setting the attribute, property by property. */
export function setStyle(element: HTMLElement, text: string): void {
  element.style.cssText = text;
}
