// The whole cluster over time: processors, memory, requests and errors, restarts.
import { Chart } from '../charts/chart';
import { latest, valuesOf } from '../charts/measured';
import { Charts, perSecond, type Shown, whole } from '../charts/panel';
import { cpus, mebibytes } from '../lib/format';
import { say } from '../words';

/** Charts of a page are lower than those of a service: there is more below them. */
const HEIGHT = 84;

export default function ClusterLoad() {
  return (
    <Charts of="cluster" title={say('dash.load')} compact>
      {(shown) => <Drawn {...shown} />}
    </Charts>
  );
}

function Drawn({ measured, frame, line, level }: Shown) {
  const { total, range } = measured;
  const isReached = latest(valuesOf(measured, 'requests')) !== undefined;
  const some = (lines: ReturnType<Shown['line']>) => lines.filter(({ values }) => values.some((value) => value));
  return (
    <>
      <Chart
        title={say('list.cpu')}
        frame={frame}
        height={HEIGHT}
        format={(value) => cpus(value)}
        empty={say('overview.nothing')}
        lines={[
          ...line('used', 'cpus_used', 'cpu', 'area'),
          ...line('reserved', 'cpus_reserved', 'cpu', 'bound'),
          ...level('there', total?.cpus, 'muted'),
        ]}
      />
      <Chart
        title={say('list.memory')}
        frame={frame}
        height={HEIGHT}
        format={mebibytes}
        binary
        empty={say('overview.notYet')}
        lines={[...line('used', 'mem_used', 'memory', 'area'), ...level('there', total?.mem_mb, 'muted')]}
      />
      <Chart
        title={say('overview.requests')}
        frame={frame}
        height={HEIGHT}
        format={perSecond}
        empty={isReached ? say('overview.noRequest') : say('dash.noDoor')}
        lines={[...line('answered', 'requests', 'accent', 'area'), ...some(line('errors', 'errors', 'bad', 'line'))]}
      />
      <Chart
        title={say('overview.restarts')}
        frame={frame}
        height={HEIGHT}
        format={whole}
        empty={say(`overview.noRestart.${range === '24h' ? '24h' : '1h'}`)}
        lines={some(line('restarts', 'restarts', 'bad', 'bars'))}
      />
    </>
  );
}
