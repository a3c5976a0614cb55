// A wire to a server that counts what goes over it, both ways, and can be cut.
import { connect, createServer } from 'node:net';

export async function wire(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let whole = true;
  let bytes = 0;
  const server = createServer((near) => {
    if (!whole) {
      near.destroy();
      return;
    }
    const far = connect(Number(port) || 80, hostname);
    for (const [a, b] of [[near, far], [far, near]]) {
      sockets.add(a);
      a.on('data', (part) => {
        bytes += part.length;
      });
      a.on('error', () => b.destroy());
      a.on('close', () => {
        sockets.delete(a);
        b.destroy();
      });
      a.pipe(b);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    bytes: () => bytes,
    cut() {
      whole = false;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      whole = true;
    },
    stop() {
      this.cut();
      server.close();
    },
  };
}
