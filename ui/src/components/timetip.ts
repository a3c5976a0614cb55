// The full time of what is shown as an age, where no mouse is: at the row that the keyboard has reached, and
// where a finger touches it. Loaded with the first key or touch.
import { fullTime } from '../lib/time';
import css from './timetip.module.css';

/** Who steps on at once wants no tips. */
const REST_MS = 500;
/** A finger goes away; what it asked for stays this long. */
const TOUCHED_MS = 6_000;
const GAP_PX = 6;
const MARGIN_PX = 8;

let tip: HTMLElement | undefined;
let about: Element | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

function hide(): void {
  clearTimeout(timer);
  tip?.remove();
  tip = about = undefined;
}

function show(time: HTMLTimeElement): void {
  hide();
  if (!time.isConnected || time.offsetParent === null) return;
  about = time;
  tip = document.createElement('div');
  tip.className = css.tip ?? '';
  tip.dataset.tip = '';
  // The same stands in the title, which voices read.
  tip.ariaHidden = 'true';
  tip.textContent = fullTime(time.dateTime);
  // Above a dialog only what is in it is seen.
  (time.closest('dialog') ?? document.body).append(tip);
  const at = time.getBoundingClientRect();
  const above = at.top - GAP_PX - tip.offsetHeight;
  tip.style.top = `${above >= MARGIN_PX ? above : at.bottom + GAP_PX}px`;
  tip.style.left = `${Math.max(MARGIN_PX, Math.min(at.right - tip.offsetWidth, innerWidth - tip.offsetWidth - MARGIN_PX))}px`;
}

function focused(target: EventTarget | null): void {
  hide();
  if (!(target instanceof HTMLElement) || !target.matches(':focus-visible')) return;
  const time = (target.closest('[data-row], main li') ?? target).querySelector('time');
  if (time) timer = setTimeout(() => show(time), REST_MS);
}

function clicked(event: MouseEvent): void {
  const { pointerType } = event as PointerEvent;
  const touched = pointerType === 'touch' || pointerType === 'pen';
  const under = touched ? document.elementsFromPoint(event.clientX, event.clientY) : [];
  const time = under.find((element) => element instanceof HTMLTimeElement);
  const again = time !== undefined && time === about;
  hide();
  // A second touch is meant for what the time stands on.
  if (!time || again) return;
  event.preventDefault();
  event.stopPropagation();
  show(time);
  timer = setTimeout(hide, TOUCHED_MS);
}

document.addEventListener('focusin', ({ target }) => focused(target));
document.addEventListener('focusout', hide);
document.addEventListener('click', clicked, true);
document.addEventListener('keydown', (event) => event.key === 'Escape' && hide(), true);
// A row that gets the focus may be scrolled to: what is not shown yet is shown where it comes to rest.
window.addEventListener('scroll', () => tip && hide(), true);
focused(document.activeElement);
