// Merged logs of the made-up cluster, as `GET /tepui/v1/logs` answers: a page, or its end live.

const LEVELS = ['\u001b[32mINFO\u001b[0m', '\u001b[32mINFO\u001b[0m', '\u001b[32mINFO\u001b[0m', '\u001b[2mDEBUG\u001b[0m', '\u001b[33mWARN\u001b[0m', '\u001b[31mERROR\u001b[0m'];
const LOOK_MS = 250;
let counter = 0;

/** A line as a service of this cluster writes it; trouble goes to stderr. */
export function written(app, at) {
  counter += 1;
  const level = LEVELS[counter % 31 === 0 ? 5 : counter % 13 === 0 ? 4 : counter % 4];
  const text = counter % 31 === 0 ? 'upstream \u001b[48;5;52m\u001b[38;5;217m 503 \u001b[0m after \u001b[4m3 tries\u001b[0m' : `handled request ${counter} in ${counter % 40} ms`;
  return `${at} ${level} ${app.id} ${text}\n`;
}

function rows(task) {
  let offset = task.logStart;
  return task.log.map((text) => {
    const row = { at: text.slice(0, 24), task: task.task_id, stream: text.includes('ERROR') ? 'stderr' : 'stdout', offset, text: text.slice(0, -1) };
    offset += text.length;
    return row;
  });
}

/** Answers one question; false when there is nothing of that name. */
export function logs(req, res, url, { world, findTask, json }) {
  const query = (name) => url.searchParams.get(name) ?? '';
  const of = query('of');
  const tasks = () => (world.apps.has(of) ? world.apps.get(of).tasks : [findTask(of)].filter(Boolean)).filter((task) => task.task_id);
  if (!world.apps.has(of) && !findTask(of)) return false;
  const grep = query('grep') && new RegExp(query('grep').replace('(?i)', ''), query('grep').startsWith('(?i)') ? 'i' : '');
  const isWanted = (row) => (!query('stream') || row.stream === query('stream')) && (!grep || grep.test(row.text)) && (!query('since') || row.at >= query('since')) && (!query('before') || row.at < query('before')) && (!query('after') || row.at >= query('after'));
  const all = () => tasks().flatMap(rows).filter(isWanted).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const streams = (of) => of.flatMap((task) => ['stdout', 'stderr'].map((stream) => ({ task: task.task_id, host: task.host, stream, next_offset: 0 })));
  const limit = Number(query('limit') || 500);
  const page = () => {
    const found = all();
    const onwards = !!query('after');
    // A moment is never cut in two.
    const edge = onwards ? found[limit]?.at : found.at(-limit - 1) && found.at(-limit)?.at;
    const lines = edge ? found.filter((row) => (onwards ? row.at < edge : row.at >= edge)) : found;
    return { lines, ...(edge && { [onwards ? 'after' : 'before']: edge }), searched_bytes: 0, streams: streams(tasks()) };
  };
  if (query('follow') !== 'true') {
    json(res, 200, page());
    return true;
  }
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (data) => res.write(`event: lines\ndata: ${JSON.stringify(data)}\n\n`);
  const told = new Map();
  const fresh = () => tasks().flatMap((task) => {
    const from = told.get(task.task_id) ?? -1;
    const found = rows(task).filter((row) => row.offset > from);
    if (found.length > 0) told.set(task.task_id, found.at(-1).offset);
    return found;
  });
  let known = new Set(tasks().map((task) => task.task_id));
  send(page());
  fresh();
  const timer = setInterval(() => {
    const joined = tasks().filter((task) => !known.has(task.task_id));
    known = new Set(tasks().map((task) => task.task_id));
    const lines = fresh().filter(isWanted).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    if (lines.length + joined.length > 0) send({ lines, searched_bytes: 0, streams: streams(joined) });
  }, LOOK_MS);
  res.on('close', () => clearInterval(timer));
  return true;
}
