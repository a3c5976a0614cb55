// What the gallery shows: each component of the kit in each of its states. A component more is an entry.
import { EllipsisVertical } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { ApiError } from '../src/api/client';
import { Dialog } from '../src/components/dialog';
import { Check, CodeField, TextField } from '../src/components/field';
import { FilterBox } from '../src/components/filterbox';
import { Marked } from '../src/components/marked';
import { Menu } from '../src/components/menu';
import { Mark, StatusLabel } from '../src/components/status';
import { type Column, Table } from '../src/components/table';
import { toast } from '../src/components/toast';
import { Age, Button, Command, Copy, Empty, Failure, InstanceBar, Meter, Notice, PageHead, Panel, Skeleton, TabLinks } from '../src/components/ui';
import { type Language, parse } from '../src/lib/query';
import { LOOK, type Look } from '../src/lib/status';
import css from './gallery.module.css';

export interface Kind {
  name: string;
  /** The states stand above each other, each as wide as there is room. */
  wide?: boolean;
  states: Record<string, ReactNode>;
}

interface Row {
  id: string;
  n: number;
}
const ROWS: Row[] = ['/shop/api', '/shop/web', '/tools/grafana'].map((id, n) => ({ id, n }));
const COLUMNS: Column<Row>[] = [
  { id: 'name', head: 'Name', width: 'minmax(120px, 1fr)', phone: 'top', compare: (a, b) => a.n - b.n, cell: (row) => <a href="#row">{row.id}</a> },
  { id: 'n', head: 'Number', width: '90px', align: 'end', compare: (a, b) => a.n - b.n, cell: (row) => row.n },
];
const LANGUAGE: Language<Row> = {
  text: (row) => row.id,
  fields: { is: { test: () => true, values: () => ['good', 'bad'], closed: true } },
};
const looks: [string, Look][] = [...new Map(Object.values(LOOK).map((look) => [look.word, look]))];
const shapes = [...new Map(looks.map(([, look]) => [look.shape + look.tone, look])).values()];
const bar = { running: 3, wanted: 3, unhealthy: 0, staging: 0, starting: 0, stopping: 0, waiting: false };
const meter = { label: 'CPU', hue: 'cpu', total: 8, allocated: 4, used: 2, text: '4 of 8 reserved, 2 used' } as const;
const none = () => undefined;

function Filter({ query }: { query: string }) {
  const [line, setLine] = useState(query);
  const { fault } = parse(line, LANGUAGE);
  return (
    <FilterBox label={`Filter, ${query || 'empty'}`} placeholder="Filter" query={line} onQuery={setLine} language={LANGUAGE} rows={ROWS} fault={fault} name="gallery" count={() => 2} />
  );
}

function Selectable({ dense }: { dense?: boolean }) {
  const [on, setOn] = useState<ReadonlySet<string>>(new Set(['/shop/web']));
  return (
    <Table
      label={dense ? 'Dense rows' : 'Rows with a selection'}
      columns={COLUMNS}
      rows={ROWS}
      rowKey={(row) => row.id}
      dense={dense ?? false}
      sort={{ by: 'name', down: false }}
      onSort={none}
      select={{
        any: on.size > 0,
        state: (row) => on.has(row.id),
        set: (rows, add) => setOn(new Set([...on].filter((id) => !rows.some((row) => row.id === id)).concat(add ? rows.map((row) => row.id) : []))),
        clear: () => setOn(new Set()),
        name: (row) => row.id,
      }}
    />
  );
}

function Asking() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}>Open a dialog</Button>
      {open && (
        <Dialog title="Scale /shop/api" onClose={() => setOpen(false)} actions={<Button kind="primary">Scale to 5</Button>}>
          <TextField label="Instances" defaultValue="5" data-first />
        </Dialog>
      )}
    </>
  );
}

/** Drawn things without a word in them: what can be compared point by point, whatever the fonts. */
export function Drawn() {
  return (
    <div className={css.drawn} data-drawn>
      {shapes.map((look) => (
        <Mark key={look.shape + look.tone} look={look} size={24} label={look.word} />
      ))}
      <Meter {...meter} />
      <Meter {...meter} label="Memory" hue="memory" used={undefined} text="4 of 8 reserved" />
      <Meter {...meter} label="Disk" hue="disk" allocated={8} used={8} text="8 of 8 reserved" />
    </div>
  );
}

export const KINDS: Kind[] = [
  {
    name: 'Button',
    states: Object.fromEntries(
      (['primary', 'normal', 'quiet', 'danger'] as const).flatMap((kind) => [
        [kind, <Button key="a" kind={kind}>Run a service</Button>],
        [`${kind}, off`, <Button key="b" kind={kind} disabled>Run a service</Button>],
        [`${kind}, busy`, <Button key="c" kind={kind} busy>Run a service</Button>],
      ]),
    ),
  },
  { name: 'Status', states: Object.fromEntries(looks.map(([word, look]) => [word, <StatusLabel key={word} look={look} />])) },
  {
    name: 'Instances',
    states: {
      'all run': <InstanceBar {...bar} />,
      'some wait': <InstanceBar {...bar} running={1} staging={2} waiting />,
      'some start': <InstanceBar {...bar} running={1} staging={1} />,
      'some are ill': <InstanceBar {...bar} unhealthy={2} />,
      'checks pending': <InstanceBar {...bar} starting={2} />,
      'some stop': <InstanceBar {...bar} running={2} wanted={2} stopping={1} />,
      none: <InstanceBar {...bar} running={0} wanted={0} />,
    },
  },
  {
    name: 'Notice',
    wide: true,
    states: Object.fromEntries(
      (['attention', 'bad', 'moving', 'neutral'] as const).map((tone) => [
        tone,
        <Notice key={tone} tone={tone} action={<a href="#logs">Logs</a>}>
          <div>
            <strong>2 of 2 instances fail.</strong> 404 from /health
          </div>
        </Notice>,
      ]),
    ),
  },
  {
    name: 'Fields',
    wide: true,
    states: {
      plain: <TextField label="Name" defaultValue="/shop/api" />,
      hint: <TextField label="Instances" hint="Now 2." defaultValue="3" />,
      error: <TextField label="Instances" error="A whole number, 0 or more." defaultValue="x" />,
      code: <CodeField label="Definition" defaultValue={'{ "id": "/shop/api" }'} />,
      check: <Check label="Cancel that deployment" checked onChange={none} />,
    },
  },
  { name: 'Filter', wide: true, states: { empty: <Filter query="" />, filled: <Filter query="shop" />, 'not understood': <Filter query="is:asleep" /> } },
  {
    name: 'Table',
    wide: true,
    states: {
      plain: <Table label="Rows" columns={COLUMNS} rows={ROWS} rowKey={(row) => row.id} dim={(row) => row.n === 2} />,
      selection: <Selectable />,
      dense: <Selectable dense />,
    },
  },
  {
    name: 'Panel and states of a list',
    wide: true,
    states: {
      panel: <Panel title="2 instances" aside={<Button kind="quiet">Show 3 ended</Button>}>Its content.</Panel>,
      empty: <Empty title="Nothing runs yet" action={<Button kind="primary">Run a service</Button>}>Write one here.</Empty>,
      failure: <Failure error={new ApiError(503, 'no_leader', 'No master leads.', 'GET /tepui/v1/apps', 'Wait a little.', 'r-1')} retry={none} />,
      loading: <Skeleton rows={3} />,
    },
  },
  {
    name: 'Head and tabs',
    wide: true,
    states: {
      head: <PageHead crumbs={[{ href: '/services', text: 'Services' }, { href: '/shop', text: 'shop' }]} title="api" sub="2 running instances" actions={<Button kind="primary">Scale</Button>} />,
      tabs: <TabLinks label="Views" current="logs" tabs={['instances', 'logs', 'why'].map((id) => ({ id, href: `/${id}`, text: id }))} />,
    },
  },
  {
    name: 'Small parts',
    states: {
      copy: <Copy text="web.marathon.mesos" label="Copy the name" />,
      command: <Command text="tepui app scale /shop/api 5" />,
      age: <Age at={new Date(Date.now() - 7_300_000).toISOString()} ago />,
      marked: <span><Marked text="/shop/api" words={['api']} /></span>,
      menu: (
        <Menu
          heading="What can be done"
          groups={[[{ text: 'Scale…', keys: 's', onSelect: none }, { text: 'Dense rows', checked: true, onSelect: none }, { text: 'Resume', disabled: true, onSelect: none }], [{ text: 'Delete…', danger: true, onSelect: none }]]}
          trigger={<Button aria-label="Open a menu"><EllipsisVertical size={16} aria-hidden /></Button>}
        />
      ),
      dialog: <Asking />,
      toast: <Button onClick={() => toast('/shop/api: scaling to 5', false, { text: 'Undo', run: none })}>Show a message</Button>,
    },
  },
  { name: 'Drawn', wide: true, states: { drawn: <Drawn /> } },
];
