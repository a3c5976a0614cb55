// A terminal of a running instance. Its screen lives as long as its tab, wherever the page goes.
import '@xterm/xterm/css/xterm.css';
import { FitAddon } from '@xterm/addon-fit';
import { type ITheme, Terminal as Xterm } from '@xterm/xterm';
import { RotateCcw } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { type Told, ShellSocket } from '../api/shell';
import { Button } from '../components/ui';
import { say } from '../words';
import { keepSession, type Tab } from './dock';
import css from './dock.module.css';

const SCROLLBACK = 5_000;
/** The best shell there is, with the colours this terminal has. */
const COMMAND = [
  '/bin/sh',
  '-c',
  'export TERM=xterm-256color; if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi',
];
/** Colours of the theme, by the names the terminal has for them. */
const COLOURS: Partial<Record<keyof ITheme, string>> = {
  background: '--panel',
  foreground: '--text',
  cursor: '--accent',
  cursorAccent: '--panel',
  black: '--muted',
  red: '--bad',
  green: '--good',
  yellow: '--attention',
  blue: '--moving',
  magenta: '--memory',
  cyan: '--disk',
  white: '--text',
  brightBlack: '--muted',
  brightRed: '--bad',
  brightGreen: '--good',
  brightYellow: '--attention',
  brightBlue: '--accent',
  brightMagenta: '--memory',
  brightCyan: '--disk',
  brightWhite: '--text',
};

/** The tokens of the present theme as plain colours. */
function theme(box: HTMLElement): ITheme {
  const probe = document.createElement('span');
  box.append(probe);
  const read = (token: string) => {
    probe.style.color = `var(${token})`;
    return getComputedStyle(probe).color;
  };
  const colours: ITheme = { selectionBackground: 'rgb(80 140 220 / 40%)' };
  for (const [name, token] of Object.entries(COLOURS)) colours[name as 'red'] = read(token);
  probe.remove();
  return colours;
}

function url(task: string): string {
  const at = new URL(`/tepui/v1/tasks/${encodeURIComponent(task)}/exec/ws`, window.location.href);
  at.protocol = at.protocol === 'https:' ? 'wss:' : 'ws:';
  return at.href;
}

/** A terminal in `box` joined to a command; returns the way to end both. */
function open(
  box: HTMLElement,
  tab: Tab,
  told: (told: Told) => void,
): { end: () => void; fit: () => void; focus: () => void } {
  const screen = new Xterm({
    cursorBlink: false,
    fontFamily: getComputedStyle(box).fontFamily,
    fontSize: 13,
    // What is written is text: no link of it leads anywhere.
    linkHandler: { activate: () => undefined },
    minimumContrastRatio: 4.5,
    scrollback: SCROLLBACK,
    theme: theme(box),
  });
  const fitting = new FitAddon();
  screen.loadAddon(fitting);
  screen.open(box);
  const fit = () => {
    if (box.clientHeight > 0) fitting.fit();
  };
  fit();
  screen.attachCustomKeyEventHandler((event) => {
    // The way out for the keyboard, and copying where Ctrl C is the command's.
    if (event.key === 'F6') return false;
    const copies = event.ctrlKey && event.shiftKey && event.code === 'KeyC' && screen.hasSelection();
    if (copies && event.type === 'keydown') {
      event.preventDefault();
      document.execCommand('copy');
    }
    return !copies;
  });
  const socket = new ShellSocket(
    url(tab.task),
    COMMAND,
    {
      output: (bytes, done) => screen.write(bytes, done),
      began: (again, whole) => again && whole && screen.reset(),
      told,
      session: (id) => keepSession(tab.key, id),
      size: () => ({ rows: screen.rows, cols: screen.cols }),
    },
    tab.session,
  );
  screen.onData((text) => socket.input(text));
  screen.onResize((size) => socket.resized({ rows: size.rows, cols: size.cols }));
  const recolour = () => {
    screen.options.theme = theme(box);
  };
  const themed = new MutationObserver(recolour);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', recolour);
  const sized = new ResizeObserver(fit);
  sized.observe(box);
  return {
    fit,
    focus: () => screen.focus(),
    end: () => {
      themed.disconnect();
      sized.disconnect();
      scheme.removeEventListener('change', recolour);
      socket.close();
      screen.dispose();
    },
  };
}

export function Terminal({ tab, shown }: { tab: Tab; shown: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const at = useRef<ReturnType<typeof open>>(undefined);
  const [told, setTold] = useState<Told>({ phase: 'opening', text: say('shell.opening') });
  const [round, setRound] = useState(0);

  // The tab's own fields do not change but for the session, which this terminal itself keeps.
  const wanted = useRef(tab);
  const again = (session: string | undefined) => {
    wanted.current = { ...tab, session };
    setRound(round + 1);
  };
  useEffect(() => {
    if (!box.current) return;
    setTold({ phase: 'opening', text: say('shell.opening') });
    const opened = open(box.current, wanted.current, setTold);
    at.current = opened;
    return () => {
      at.current = undefined;
      opened.end();
    };
  }, [round]);

  useEffect(() => {
    if (!shown) return;
    at.current?.fit();
    at.current?.focus();
  }, [shown, round]);

  const over = told.phase === 'ended' || told.phase === 'failed';
  return (
    <div className={css.terminal} data-phase={told.phase}>
      <div ref={box} className={css.screen} />
      {told.phase !== 'open' && (
        <div className={css.told} role="status">
          <span lang={told.lang}>
            {told.text}
            {told.hint && <span className="muted"> {told.hint}</span>}
          </span>
          {told.phase === 'taken' && <Button onClick={() => again(tab.session)}>{say('shell.takeBack')}</Button>}
          {over && (
            <Button onClick={() => again(undefined)}>
              <RotateCcw size={15} aria-hidden />
              {say('shell.again')}
            </Button>
          )}
        </div>
      )}
    </div>
  );
}
