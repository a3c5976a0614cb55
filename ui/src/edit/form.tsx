// The form: the same document, field by field. What it has no field for is listed and left alone.
import { Plus, X } from 'lucide-react';
import { createContext, type ReactNode, useContext, useEffect, useId, useRef, useState } from 'react';
import { Button } from '../components/ui';
import { say } from '../words';
import { type Fields, type Json, labelOf, pointerOf, type Problem, same, valueAt, type Way, wayOf } from './document';
import css from './edit.module.css';
import { boundsOf, type Schema, schemaAt } from './schema';

interface Desk {
  value: Fields;
  schema: Schema | undefined;
  faults: Problem[];
  /** What is there now, where something is changed. */
  base: Fields | undefined;
  set: (way: Way, value: Json | undefined) => void;
}

const DeskContext = createContext<Desk | undefined>(undefined);

function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (!desk) throw new Error('a field outside of the form');
  return desk;
}

function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** What is typed, until it is another value that comes from elsewhere. */
function useTyped(value: Json | undefined, show: (value: Json | undefined) => string, read: (text: string) => Json | undefined) {
  const [text, setText] = useState(() => show(value));
  const known = useRef(value);
  useEffect(() => {
    if (same(known.current, value)) return;
    known.current = value;
    setText(show(value));
  }, [value, show]);
  const type = (next: string) => {
    setText(next);
    known.current = read(next);
    return known.current;
  };
  return [text, type] as const;
}

const shown = (value: Json | undefined) =>
  value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
const asText = (text: string) => (text === '' ? undefined : text);
/** What is no number stays as it is typed: the server says what is wrong with it. */
const asNumber = (text: string) =>
  text.trim() === '' ? undefined : Number.isFinite(Number(text)) ? Number(text) : text;
const asLines = (text: string) => (text === '' ? undefined : text.split('\n'));
const shownLines = (value: Json | undefined) => list(value).map(String).join('\n');

interface FieldProps {
  way: Way;
  label: string;
  kind?: 'text' | 'number' | 'area' | 'lines';
  disabled?: boolean;
  placeholder?: string;
  wide?: boolean;
  /** Only its control is seen. */
  bare?: boolean;
  /** Without the line about it, as in rows. */
  short?: boolean;
  /** Nothing typed is an empty text, not a field that is left out. */
  keep?: boolean;
}

export function Field({ way, label, kind = 'text', disabled, placeholder, wide, bare, short, keep }: FieldProps) {
  const { value, schema, faults, base, set } = useDesk();
  const id = useId();
  const node = schema && schemaAt(schema, way);
  const pointer = pointerOf(way);
  const read = kind === 'number' ? asNumber : kind === 'lines' ? asLines : keep ? String : asText;
  const show = kind === 'lines' ? shownLines : shown;
  const now = valueAt(value, way);
  const [text, type] = useTyped(now, show, read);
  const fault = faults.find((it) => it.path === pointer || (kind === 'lines' && it.path.startsWith(`${pointer}/`)));
  const changed = base !== undefined && !same(valueAt(base, way), now);
  const unit = node?.['x-unit'];
  const usual = node?.default === undefined || node.default === '' ? undefined : `${node.default}`;
  const common = {
    id,
    value: text,
    disabled,
    placeholder: placeholder ?? usual,
    'data-pointer': pointer,
    'aria-label': bare ? label : undefined,
    'aria-invalid': fault ? (true as const) : undefined,
    'aria-describedby': `${id}-about`,
    onChange: (event: { target: { value: string } }) => set(way, type(event.target.value)),
  };
  return (
    <div className={`${css.field} ${wide ? css.wide : ''}`} data-changed={changed || undefined}>
      {!bare && (
        <label htmlFor={id}>
          {label}
          {unit && <span className={css.unit}>{unit}</span>}
        </label>
      )}
      {kind === 'area' || kind === 'lines' ? (
        <textarea {...common} className={`${css.input} ${css.code}`} rows={kind === 'lines' ? 3 : 2} spellCheck={false} />
      ) : (
        <input
          {...common}
          className={css.input}
          inputMode={kind === 'number' ? 'decimal' : undefined}
          autoComplete="off"
          spellCheck={false}
        />
      )}
      <p id={`${id}-about`} lang={fault?.own ? undefined : 'en'} className={fault ? css.error : bare || short ? 'visually-hidden' : css.hint}>
        {fault ? fault.message : node?.description}
      </p>
    </div>
  );
}

function Select({
  way,
  label,
  options,
  usual,
}: {
  way: Way;
  label: string;
  options: [string, string][];
  /** What it is when nothing is said and the schema knows nothing. */
  usual?: string;
}) {
  const { value, schema, base, faults, set } = useDesk();
  const id = useId();
  const now = valueAt(value, way);
  const node = schema && schemaAt(schema, way);
  const known = shown(now ?? node?.default ?? usual);
  const fault = faults.find((it) => it.path === pointerOf(way));
  return (
    <div className={css.field} data-changed={(base && !same(valueAt(base, way), now)) || undefined}>
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        className={css.input}
        value={known}
        data-pointer={pointerOf(way)}
        aria-invalid={fault ? true : undefined}
        onChange={(event) => set(way, event.target.value)}
      >
        {options.some(([word]) => word === known) || <option value={known}>{known}</option>}
        {options.map(([word, text]) => (
          <option key={word} value={word}>
            {text}
          </option>
        ))}
      </select>
      {fault && (
        <p lang={fault.own ? undefined : 'en'} className={css.error}>
          {fault.message}
        </p>
      )}
    </div>
  );
}

function Tick({ way, label }: { way: Way; label: string }) {
  const { value, schema, set } = useDesk();
  const node = schema && schemaAt(schema, way);
  return (
    <label className={css.tick}>
      <input
        type="checkbox"
        checked={valueAt(value, way) === true}
        data-pointer={pointerOf(way)}
        onChange={(event) => set(way, event.target.checked ? true : undefined)}
      />
      <span title={node?.description}>{label}</span>
    </label>
  );
}

/** "port 2", "label owner". */
const nth = (what: 'port' | 'check' | 'volume' | 'constraint' | 'variable' | 'label', number: string | number) =>
  say('form.nth', { what: say(`form.what.${what}`), number });

/** A list of like things, one a row. */
function Rows({
  way,
  what,
  fresh,
  children,
}: {
  way: Way;
  what: 'port' | 'check' | 'volume' | 'constraint';
  fresh: Json;
  children: (way: Way, value: Json, at: number) => ReactNode;
}) {
  const { value, set } = useDesk();
  const items = list(valueAt(value, way));
  return (
    <div className={css.rows}>
      {items.map((item, at) => (
        // Rows have no names of their own; their place is what they are known by.
        <div key={`${at}`} className={css.row}>
          <div className={css.cells}>{children([...way, at], item, at)}</div>
          <button
            type="button"
            className={css.remove}
            aria-label={say('form.removeOf', { what: nth(what, at + 1) })}
            onClick={() => set(way, items.length > 1 ? items.filter((_, other) => other !== at) : undefined)}
          >
            <X size={15} aria-hidden />
          </button>
        </div>
      ))}
      <Button className={css.add} onClick={() => set(way, [...items, fresh])}>
        <Plus size={15} aria-hidden />
        {say(`form.add.${what}`)}
      </Button>
    </div>
  );
}

/** Names and values of the author's own. */
function Pairs({ way, what }: { way: Way; what: 'variable' | 'label' }) {
  const { value, set } = useDesk();
  const found = valueAt(value, way);
  const there = typeof found === 'object' && found !== null && !Array.isArray(found) ? found : {};
  const [fresh, setFresh] = useState(false);
  const entries = Object.entries(there);
  const rename = (old: string, key: string) => {
    if (key === old || key === '') return;
    const next = entries.map(([name, it]) => [name === old ? key : name, it] as const);
    set(way, Object.fromEntries(next));
  };
  return (
    <div className={css.rows}>
      {entries.map(([key]) => (
        <div key={key} className={css.row}>
          <div className={css.cells}>
            <input
              className={`${css.input} ${css.code}`}
              defaultValue={key}
              aria-label={say('form.nameOf', { what: nth(what, key) })}
              onBlur={(event) => rename(key, event.target.value.trim())}
              spellCheck={false}
            />
            <Field bare keep way={[...way, key]} label={say('form.valueOf', { what: nth(what, key) })} />
          </div>
          <button type="button" className={css.remove} aria-label={say('form.removeOf', { what: nth(what, key) })} onClick={() => set([...way, key], undefined)}>
            <X size={15} aria-hidden />
          </button>
        </div>
      ))}
      {fresh && (
        <div className={css.row}>
          <div className={css.cells}>
            <input
              className={`${css.input} ${css.code}`}
              aria-label={say(`form.newName.${what}`)}
              placeholder={say('form.name')}
              // biome-ignore lint/a11y/noAutofocus: it was asked for with the button before
              autoFocus
              spellCheck={false}
              onBlur={(event) => {
                const key = event.target.value.trim();
                if (key && !(key in there)) set(way, { ...there, [key]: '' });
                setFresh(false);
              }}
              onKeyDown={(event) => {
                if (event.key === 'Enter') {
                  event.preventDefault();
                  event.currentTarget.blur();
                }
              }}
            />
            <span className="muted">{say('form.thenValue')}</span>
          </div>
        </div>
      )}
      <Button className={css.add} onClick={() => setFresh(true)}>
        <Plus size={15} aria-hidden />
        {say(`form.add.${what}`)}
      </Button>
    </div>
  );
}

function Section({ title, about, children }: { title: string; about?: string; children: ReactNode }) {
  return (
    <section className={css.section} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {about && <p className={css.hint}>{about}</p>}
      </header>
      <div className={css.fields}>{children}</div>
    </section>
  );
}

/** Fields the form has a place for; the rest of a document is told as a list. */
const SHOWN = new Set([
  'id', 'instances', 'cmd', 'args', 'cpus', 'mem', 'disk', 'gpus', 'env', 'labels', 'container', 'networks',
  'portDefinitions', 'healthChecks', 'constraints', 'upgradeStrategy', 'backoffSeconds', 'maxLaunchDelaySeconds',
  'taskKillGracePeriodSeconds', 'dependencies', 'requirePorts',
]);

export function Form({
  value,
  schema,
  faults,
  unknown,
  base,
  set,
  openAt,
}: Desk & { unknown: string[]; openAt: (pointer: string) => void }) {
  const mode = shown(valueAt(value, ['networks', 0, 'mode']) ?? (value.networks ? 'container' : 'host'));
  const host = mode === 'host';
  const container = value.container !== undefined;
  const elsewhere = Object.keys(value).filter((key) => !SHOWN.has(key) && !unknown.includes(`/${key}`));
  const reach = (next: string) => {
    set(['networks'], next === 'host' ? undefined : [{ mode: next }]);
  };
  return (
    <DeskContext.Provider value={{ value, schema, faults, base, set }}>
      <form className={css.form} onSubmit={(event) => event.preventDefault()} aria-label={say('form.label')}>
        <Section title={say('form.service')}>
          <Field way={['id']} label={say('form.id')} disabled={base !== undefined} placeholder="/shop/web" />
          <Field way={['instances']} label={say('list.instances')} kind="number" />
        </Section>
        <Section title={say('form.runs')}>
          <Field way={['container', 'docker', 'image']} label={say('form.image')} placeholder={say('form.noImage')} wide />
          <Field way={['cmd']} label={say('form.command')} kind="area" wide />
          <Field way={['args']} label={say('form.args')} kind="lines" wide />
          {container && (
            <div className={css.ticks}>
              <Tick way={['container', 'docker', 'forcePullImage']} label={say('form.pull')} />
              <Tick way={['container', 'docker', 'privileged']} label={say('form.privileged')} />
            </div>
          )}
        </Section>
        <Section title={say('form.resources')} about={say('form.forEach')}>
          <Field way={['cpus']} label={say('form.cpus')} kind="number" />
          <Field way={['mem']} label={say('form.memory')} kind="number" />
          <Field way={['disk']} label={say('form.disk')} kind="number" />
          <Field way={['gpus']} label={say('form.gpus')} kind="number" />
        </Section>
        <Section title={say('form.network')}>
          <div className={css.field}>
            <label htmlFor="edit-mode">{say('form.connectedBy')}</label>
            <select id="edit-mode" className={css.input} value={mode} data-pointer="/networks" onChange={(event) => reach(event.target.value)}>
              <option value="host">{say('form.mode.host')}</option>
              <option value="container/bridge">{say('form.mode.bridge')}</option>
              <option value="container">{say('form.mode.virtual')}</option>
            </select>
          </div>
          {mode === 'container' && <Field way={['networks', 0, 'name']} label={say('form.network')} />}
          <div className={css.wide}>
            {host ? (
              <Rows way={['portDefinitions']} what="port" fresh={{ port: 0 }}>
                {(way) => (
                  <>
                    <Field short way={[...way, 'name']} label={say('form.portName')} />
                    <Field short way={[...way, 'port']} label={say('form.port')} kind="number" placeholder={say('form.any')} />
                    <Select way={[...way, 'protocol']} label={say('form.protocol')} options={protocols()} usual="tcp" />
                  </>
                )}
              </Rows>
            ) : (
              <Rows way={['container', 'portMappings']} what="port" fresh={{ containerPort: 80, hostPort: 0 }}>
                {(way) => (
                  <>
                    <Field short way={[...way, 'name']} label={say('form.portName')} />
                    <Field short way={[...way, 'containerPort']} label={say('form.inContainer')} kind="number" />
                    <Field short way={[...way, 'hostPort']} label={say('form.ofNode')} kind="number" placeholder={say('form.none')} />
                    <Select way={[...way, 'protocol']} label={say('form.protocol')} options={protocols()} usual="tcp" />
                  </>
                )}
              </Rows>
            )}
          </div>
        </Section>
        <Section title={say('form.health')} about={say('form.healthAbout')}>
          <div className={css.wide}>
            <Rows way={['healthChecks']} what="check" fresh={{ protocol: 'HTTP', path: '/', gracePeriodSeconds: 30, intervalSeconds: 10 }}>
              {(way, check) => {
                const protocol = shown((check as Fields).protocol ?? 'HTTP');
                return (
                  <>
                    <Select way={[...way, 'protocol']} label={say('form.askedBy')} options={checks()} />
                    {protocol === 'COMMAND' ? (
                      <Field way={[...way, 'command', 'value']} label={say('form.command')} kind="area" />
                    ) : (
                      <>
                        {/HTTP/.test(protocol) && <Field way={[...way, 'path']} label={say('form.path')} placeholder="/" />}
                        <Field way={[...way, 'portIndex']} label={say('form.whichPort')} kind="number" placeholder="0" />
                      </>
                    )}
                    <Field way={[...way, 'gracePeriodSeconds']} label={say('form.grace')} kind="number" />
                    <Field way={[...way, 'intervalSeconds']} label={say('form.every')} kind="number" />
                    <Field way={[...way, 'timeoutSeconds']} label={say('form.within')} kind="number" />
                    <Field way={[...way, 'maxConsecutiveFailures']} label={say('form.inARow')} kind="number" />
                  </>
                );
              }}
            </Rows>
          </div>
        </Section>
        <Section title={say('form.environment')}>
          <div className={css.wide}>
            <Pairs way={['env']} what="variable" />
          </div>
        </Section>
        <Section title={say('form.volumes')}>
          <div className={css.wide}>
            <Rows way={['container', 'volumes']} what="volume" fresh={{ containerPath: 'data', mode: 'RW', persistent: { size: 1024 } }}>
              {(way, volume) => (
                <>
                  <Field short way={[...way, 'containerPath']} label={say('form.containerPath')} />
                  {(volume as Fields).persistent !== undefined ? (
                    <Field short way={[...way, 'persistent', 'size']} label={say('form.size')} kind="number" />
                  ) : (
                    <Field short way={[...way, 'hostPath']} label={say('form.hostPath')} />
                  )}
                  <Select way={[...way, 'mode']} label={say('form.access')} options={accesses()} usual="RW" />
                </>
              )}
            </Rows>
          </div>
        </Section>
        <Section title={say('form.placement')} about={say('form.placementAbout')}>
          <div className={css.wide}>
            <Rows way={['constraints']} what="constraint" fresh={['hostname', 'UNIQUE']}>
              {(way, rule) => (
                <>
                  <Field short keep way={[...way, 0]} label={say('form.field')} placeholder="hostname" />
                  <Select way={[...way, 1]} label={say('form.operator')} options={operators()} usual="UNIQUE" />
                  {list(rule)[1] !== 'UNIQUE' && <Field short keep way={[...way, 2]} label={say('form.value')} />}
                </>
              )}
            </Rows>
          </div>
        </Section>
        <Section title={say('form.labels')}>
          <div className={css.wide}>
            <Pairs way={['labels']} what="label" />
          </div>
        </Section>
        <Section title={say('form.failures')}>
          <Field way={['upgradeStrategy', 'minimumHealthCapacity']} label={say('form.stayHealthy')} kind="number" placeholder="1" />
          <Field way={['upgradeStrategy', 'maximumOverCapacity']} label={say('form.runBesides')} kind="number" placeholder="1" />
          <Field way={['backoffSeconds']} label={say('form.backoff')} kind="number" />
          <Field way={['maxLaunchDelaySeconds']} label={say('form.longest')} kind="number" />
          <Field way={['taskKillGracePeriodSeconds']} label={say('form.timeToEnd')} kind="number" placeholder="3" />
          <Field way={['dependencies']} label={say('form.startsAfter')} kind="lines" />
        </Section>
        {(elsewhere.length > 0 || unknown.length > 0) && (
          <Section title={say('form.onlyText')} about={say('form.onlyTextAbout')}>
            <ul className={css.elsewhere}>
              {unknown.map((pointer) => (
                <li key={pointer} data-unknown>
                  <code>{labelOf(pointer)}</code>
                  <span>{say('form.unread')}</span>
                  <button type="button" className={css.link} onClick={() => openAt(pointer)}>{say('plan.show')}</button>
                  <button type="button" className={css.link} onClick={() => set(wayOf(pointer), undefined)}>{say('form.remove')}</button>
                </li>
              ))}
              {elsewhere.map((key) => (
                <li key={key}>
                  <code>{key}</code>
                  <span className="muted">{schema?.properties?.[key] ? boundsOf(schema.properties[key]) : ''}</span>
                  <button type="button" className={css.link} onClick={() => openAt(`/${key}`)}>{say('plan.show')}</button>
                </li>
              ))}
            </ul>
          </Section>
        )}
      </form>
    </DeskContext.Provider>
  );
}

const protocols = (): [string, string][] => [['tcp', 'TCP'], ['udp', 'UDP'], ['udp,tcp', say('form.both')]];
const accesses = (): [string, string][] => [['RW', say('form.readWrite')], ['RO', say('form.readOnly')]];
const checks = (): [string, string][] => [
  ['HTTP', 'HTTP'],
  ['HTTPS', 'HTTPS'],
  ['TCP', say('form.tcp')],
  ['COMMAND', say('form.command')],
  ['MESOS_HTTP', say('form.httpOnNode')],
  ['MESOS_TCP', say('form.tcpOnNode')],
];
const OPERATORS = ['UNIQUE', 'CLUSTER', 'GROUP_BY', 'MAX_PER', 'LIKE', 'UNLIKE', 'IS'] as const;
const operators = (): [string, string][] => OPERATORS.map((word) => [word, say(`form.op.${word}`)]);
