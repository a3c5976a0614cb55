// An address that leads nowhere, or to a part of the original page that is not there yet.
import { Link, useSearchParams } from 'wouter';
import { Empty, PageHead, Panel } from '../components/ui';
import { sayAny, say } from '../words';
import { Title } from './services';

export default function NotFound() {
  const [search] = useSearchParams();
  // Set by lib/oldlinks.ts for the sections it knows.
  const old = sayAny(`old.${search.get('old') ?? ''}`);
  const title = old ? say('missing.old', { name: old }) : say('missing.title');
  return (
    <>
      <Title text={title} />
      <PageHead title={title} />
      <Panel>
        <Empty title={old ? say('missing.oldTitle') : say('missing.none')} action={<Link href="/">{say('missing.home')}</Link>}>
          {old ? say('missing.oldHint') : say('missing.hint')}
        </Empty>
      </Panel>
    </>
  );
}
