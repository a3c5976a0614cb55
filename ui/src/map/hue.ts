// The colour of a service: made of its name, of one lightness, so that it stands out as well as any
// other on its theme and text on it can be read.

import { hash } from '../lib/hash';

/** Hues that can be told from their neighbours. */
const HUES = 24;
const LIGHT = { lightness: 0.52, chroma: 0.125 };
const DARK = { lightness: 0.77, chroma: 0.105 };

export type Rgb = [number, number, number];

/** The last letters of a name must reach the bits that choose. */
function stirred(text: string): number {
  let h = hash(text);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

/** Degrees on the wheel of hues. */
export function hueOf(id: string): number {
  return (stirred(id) % HUES) * (360 / HUES);
}

/** The colour of a hue, in sRGB from 0 to 255: from OKLCH, with less chroma where the screen has not as much. */
export function colourOf(hue: number, dark: boolean): Rgb {
  const { lightness, chroma } = dark ? DARK : LIGHT;
  for (let c = chroma; c > 0; c -= 0.005) {
    const linear = fromOklch(lightness, c, hue);
    if (linear.every((part) => part >= -0.0005 && part <= 1.0005)) return linear.map(encoded) as Rgb;
  }
  return fromOklch(lightness, 0, hue).map(encoded) as Rgb;
}

function fromOklch(lightness: number, chroma: number, hue: number): Rgb {
  const angle = (hue * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(angle), chroma * Math.sin(angle)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function encoded(linear: number): number {
  const part = Math.min(1, Math.max(0, linear));
  return Math.round(255 * (part <= 0.0031308 ? 12.92 * part : 1.055 * part ** (1 / 2.4) - 0.055));
}

/** How far two colours are apart in light, as WCAG counts it. */
export function contrast(a: Rgb, b: Rgb): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

export function luminance(rgb: Rgb): number {
  const [r = 0, g = 0, b = 0] = rgb.map((part) => {
    const c = part / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** The name of a service without its groups. */
export const nameOf = (id: string): string => id.slice(id.lastIndexOf('/') + 1);

/** Two letters for it, where there is no room for more. */
export function codeOf(id: string): string {
  const words = nameOf(id).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const [first = '?', second] = words;
  return (second ? first.slice(0, 1) + second.slice(0, 1) : first.slice(0, 2)).toLowerCase();
}
