// Colours that programs choose, made fit to be read on the page's own two grounds or on their own.

/** Red, green and blue in one number. */
export type Rgb = number;

const LIGHT: Rgb = 0xeef2f7;
const DARK: Rgb = 0x1b2531;
const WHITE: Rgb = 0xffffff;
const BLACK: Rgb = 0x000000;
/** What text needs on its ground. */
const ENOUGH = 4.6;
const STEPS = 12;

const parts = (colour: Rgb) => [(colour >> 16) & 255, (colour >> 8) & 255, colour & 255];

function luminance(colour: Rgb): number {
  const [red = 0, green = 0, blue = 0] = parts(colour).map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

function mixed(a: Rgb, b: Rgb, share: number): Rgb {
  const [x, y] = [parts(a), parts(b)];
  return x.reduce((all, part, i) => (all << 8) | Math.round(part + ((y[i] ?? 0) - part) * share), 0);
}

/** The colour, or as little lighter or darker as it takes to be read on `ground`. */
export function readable(colour: Rgb, ground: Rgb): Rgb {
  const towards = contrast(WHITE, ground) > contrast(BLACK, ground) ? WHITE : BLACK;
  for (let i = 0; i <= STEPS; i++) {
    const tried = mixed(colour, towards, i / STEPS);
    if (contrast(tried, ground) >= ENOUGH) return tried;
  }
  return towards;
}

export const css = (colour: Rgb) => `#${colour.toString(16).padStart(6, '0')}`;

const known = new Map<Rgb, string>();
const KNOWN_MAX = 4_096;

/** A colour of text for whichever theme there is. */
export function onPage(colour: Rgb): string {
  let text = known.get(colour);
  if (!text) {
    if (known.size >= KNOWN_MAX) known.clear();
    text = `light-dark(${css(readable(colour, LIGHT))}, ${css(readable(colour, DARK))})`;
    known.set(colour, text);
  }
  return text;
}
