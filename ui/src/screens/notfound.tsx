// An address that leads nowhere.
import { Link } from 'wouter';
import { Empty, PageHead, Panel } from '../components/ui';
import { Title } from './services';

export default function NotFound() {
  return (
    <>
      <Title text="Not found" />
      <PageHead title="Not found" />
      <Panel>
        <Empty title="There is no such page" action={<Link href="/">Go to the dashboard</Link>}>
          The address may be old or mistyped.
        </Empty>
      </Panel>
    </>
  );
}
