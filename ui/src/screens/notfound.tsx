// An address that leads nowhere.
import { Link } from 'wouter';
import { Empty, Panel } from '../components/ui';
import { Title } from './services';

export default function NotFound() {
  return (
    <Panel>
      <Title text="Not found" />
      <Empty title="There is no such page" action={<Link href="/">Go to the dashboard</Link>}>
        The address may be old or mistyped.
      </Empty>
    </Panel>
  );
}
