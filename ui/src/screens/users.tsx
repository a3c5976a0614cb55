// Who may sign in: people and service accounts, made, given another password, removed.
import { useQuery } from '@tanstack/react-query';
import { EllipsisVertical } from 'lucide-react';
import { useState } from 'react';
import { api, type User } from '../api/client';
import { TextField } from '../components/field';
import { Menu } from '../components/menu';
import { type Column, rowAction, Table } from '../components/table';
import { Button, Empty, Failure, PageHead, Panel, Skeleton } from '../components/ui';
import { byName } from '../lib/format';
import { say } from '../words';
import { Change } from './actions';
import { Title } from './services';

/** As the server wants them; it has the last word. */
const UID = /^[a-zA-Z0-9\-_@.]{1,96}$/;
const PASSWORD_MIN = 5;

type Asked = { what: 'add' } | { what: 'password' | 'remove'; user: User };

export default function Users({ me }: { me: string }) {
  const { data, error, refetch } = useQuery({ queryKey: ['users'], queryFn: ({ signal }) => api.users(signal), staleTime: 0 });
  const [asked, setAsked] = useState<Asked>();
  const close = (done: boolean) => {
    setAsked(undefined);
    if (done) void refetch();
  };
  const columns: Column<User>[] = [
    { id: 'uid', head: say('users.uid'), width: 'minmax(140px, 1fr)', phone: 'top', cell: ({ uid }) => <strong>{uid}</strong> },
    { id: 'kind', head: say('users.kind'), width: '140px', phone: 'detail', cell: ({ is_service }) => say(is_service ? 'users.service' : 'users.person') },
    { id: 'about', head: say('users.description'), width: 'minmax(140px, 2fr)', phone: 'detail', cell: ({ description }) => <span className="truncate">{description}</span> },
    {
      id: 'actions',
      head: '',
      width: '40px',
      align: 'end',
      phone: 'end',
      sticky: true,
      cell: (user) => (
        <span className={rowAction}>
          <Menu
            groups={() => [
              user.is_service ? [] : [{ text: say('users.password…'), onSelect: () => setAsked({ what: 'password', user }) }],
              [{ text: say('ask.delete…'), danger: true, disabled: user.uid === me, onSelect: () => setAsked({ what: 'remove', user }) }],
            ]}
            trigger={
              <Button kind="quiet" aria-label={say('list.actionsFor', { name: user.uid })}>
                <EllipsisVertical size={16} aria-hidden />
              </Button>
            }
          />
        </span>
      ),
    },
  ];
  return (
    <>
      <Title text={say('nav.users')} />
      <PageHead
        title={say('nav.users')}
        sub={say('users.about')}
        actions={
          <Button kind="primary" onClick={() => setAsked({ what: 'add' })}>
            {say('users.add')}
          </Button>
        }
      />
      <Panel flush>
        {error ? (
          <Failure error={error} retry={() => void refetch()} />
        ) : !data ? (
          <Skeleton rows={3} />
        ) : data.length === 0 ? (
          <Empty title={say('users.none')} />
        ) : (
          <Table label={say('nav.users')} columns={columns} rows={[...data].sort((a, b) => byName(a.uid, b.uid))} rowKey={({ uid }) => uid} />
        )}
      </Panel>
      {asked?.what === 'remove' && (
        <Change
          title={say('ask.deleteTitle', { id: asked.user.uid })}
          verb={say('ask.delete')}
          danger
          typed={asked.user.uid}
          done={say('ask.deleted', { id: asked.user.uid })}
          change={async () => {
            await api.removeUser(asked.user.uid);
            close(true);
          }}
          onClose={() => close(false)}
        >
          <p>{say('users.removeAbout')}</p>
        </Change>
      )}
      {asked && asked.what !== 'remove' && <Edit user={asked.what === 'password' ? asked.user : undefined} onClose={close} />}
    </>
  );
}

/** Somebody new, or another password. */
function Edit({ user, onClose }: { user: User | undefined; onClose: (done: boolean) => void }) {
  const [uid, setUid] = useState(user?.uid ?? '');
  const [description, setDescription] = useState('');
  const [password, setPassword] = useState('');
  const wrong = uid !== '' && !UID.test(uid);
  const short = password !== '' && password.length < PASSWORD_MIN;
  return (
    <Change
      title={user ? say('users.passwordTitle', { uid: user.uid }) : say('users.add')}
      verb={user ? say('users.passwordSet') : say('users.add')}
      disabled={!UID.test(uid) || password.length < PASSWORD_MIN}
      done={user ? say('users.passwordDone', { uid: user.uid }) : say('users.added', { uid })}
      change={async () => {
        await (user ? api.setPassword(user.uid, password) : api.addUser(uid, { description: description || uid, password }));
        onClose(true);
      }}
      onClose={() => onClose(false)}
    >
      {!user && (
        <>
          <p>{say('users.addAbout')}</p>
          <TextField
            label={say('users.uid')}
            value={uid}
            autoComplete="off"
            spellCheck={false}
            data-first
            onChange={(event) => setUid(event.target.value)}
            error={wrong ? say('users.uidWrong') : undefined}
          />
          <TextField label={say('users.description')} value={description} autoComplete="off" onChange={(event) => setDescription(event.target.value)} />
        </>
      )}
      <TextField
        label={say('users.password')}
        type="password"
        value={password}
        autoComplete="new-password"
        onChange={(event) => setPassword(event.target.value)}
        error={short ? say('users.passwordShort', { n: PASSWORD_MIN }) : undefined}
        hint={user && say('users.passwordAbout')}
      />
    </Change>
  );
}
