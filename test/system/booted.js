/**
 * Runs as root under a booted systemd, in a container that ends with it: installs the services, uses them, and writes
 * what it finds, a line of JSON each, for systemd.system.test.ts to judge. Nothing is judged here.
 */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const [, , findings] = process.argv;
const config = '/etc/smallservd/smallservd.yaml';
const sockets = '/etc/smallservd/sockets.yaml';

function note(step, finding) {
  appendFileSync(findings, `${JSON.stringify({ step, ...finding })}\n`);
}

/** A command as an administrator types it. */
function call(command) {
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ command, code: error === null ? 0 : (error.code ?? String(error.signal)), stdout, stderr });
    });
  });
}

/** Calls, and notes what came of it. */
async function type(step, command) {
  const result = await call(command);
  note(step, result);
  return result;
}

/** Properties of a unit, as systemd has them. */
async function show(unit, ...properties) {
  const { stdout } = await call(`systemctl show ${unit} ${properties.map((each) => `--property=${each}`).join(' ')}`);
  return Object.fromEntries(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/=(.*)/s).slice(0, 2)),
  );
}

/**
 * All that comes back for the text and its end; an object with `error` where that fails. Without a port `host` is the
 * path of a UNIX socket.
 */
async function tcp(port, text = '', host = '127.0.0.1') {
  const target = port === undefined ? { path: host } : { port, host };
  const socket = connect({ ...target, allowHalfOpen: true }).setTimeout(20_000, () =>
    socket.destroy(new Error('silence')),
  );
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.end(text);
  try {
    await once(socket, 'end');
    return Buffer.concat(chunks).toString('latin1');
  } catch (error) {
    return { error: error.code ?? error.message };
  } finally {
    socket.destroy();
  }
}

/**
 * The first answer to one datagram; `isPatient`: sent again each second, as clients of UDP do, for one that a dying
 * worker had is lost.
 */
async function udp(port, text = '\n', host = '127.0.0.1', isPatient = false) {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const timer = setTimeout(() => socket.emit('error', new Error('silence')), 20_000);
  let again;
  try {
    if (isPatient) {
      // Not connected, it does not hear that nobody is there.
      const send = () => socket.send(text, port, host);
      again = setInterval(send, 1000);
      send();
    } else {
      socket.connect(port, host);
      await once(socket, 'connect');
      socket.send(text);
    }
    const [answer] = await once(socket, 'message');
    return answer.toString('latin1');
  } catch (error) {
    return { error: error.code ?? error.message };
  } finally {
    clearTimeout(timer);
    clearInterval(again);
    socket.close();
  }
}

/** What the services say, over both protocols and families. */
async function ask() {
  const answers = {};
  for (const host of ['127.0.0.1', '::1']) {
    answers[`echo tcp ${host}`] = await tcp(7, 'here\n', host);
    answers[`echo udp ${host}`] = await udp(7, 'here\n', host, true);
    answers[`daytime tcp ${host}`] = await tcp(13, '', host);
    answers[`daytime udp ${host}`] = await udp(13, '\n', host, true);
    answers[`time tcp ${host}`] = await tcp(37, '', host);
    answers[`time udp ${host}`] = await udp(37, '\n', host, true);
  }
  return answers;
}

function childrenOf(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

async function workersOf(unit) {
  const { MainPID } = await show(unit, 'MainPID');
  return childrenOf(MainPID).filter((pid) => commandOf(pid).includes('worker.js'));
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/** Asks every 50 ms. Rejects, which ends the scenario, where it takes too long. */
async function until(what, holds, withinMs = 20_000) {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await pause(50);
  }
}

function edit(file, ...replacements) {
  let text = readFileSync(file, 'utf8');
  for (const [before, after] of replacements) {
    if (!text.includes(before)) throw new Error(`${file} has no ${before}`);
    text = text.replace(before, after);
  }
  writeFileSync(file, text);
}

/** Who the process is, and what it is kept from. */
function identity(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
  return {
    uid: Number(field('Uid')?.split('\t')[0]),
    capabilities: [field('CapEff'), field('CapPrm'), field('CapInh'), field('CapAmb'), field('CapBnd')],
    network: readlinkSync(`/proc/${pid}/ns/net`),
    ourNetwork: readlinkSync('/proc/self/ns/net'),
    files: Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1]),
  };
}

/** Where the user of a service could not read Node or the package. */
async function outOfReach() {
  await call('mkdir --parents /home/eve /opt/closed/deep && chmod 750 /opt/closed');
  await call('cp --recursive /usr/lib/smallservd /home/eve/smallservd');
  await call(
    'cp --recursive /usr/lib/smallservd /opt/smallservd && chmod 600 /opt/smallservd/dist/server/supervisor/worker.js',
  );
  await call('cp --recursive /usr/lib/smallservd /opt/closed/deep/smallservd');
  await call('cp /usr/bin/node /home/eve/node');
  await type('refused: package in a home', 'node /home/eve/smallservd/dist/smallservd.js install-service');
  await type(
    'refused: package in a closed directory',
    'node /opt/closed/deep/smallservd/dist/smallservd.js install-service',
  );
  await type('refused: file that is closed', 'node /opt/smallservd/dist/smallservd.js install-service');
  await type('refused: Node in a home', '/home/eve/node /usr/lib/smallservd/dist/smallservd.js install-service');
  note('refused: written', {
    written: existsSync('/etc/smallservd') || existsSync('/etc/systemd/system/smallservd.service'),
  });
}

/** A UNIX socket for everybody, and one for a group of which the service is a member. */
async function unixSockets(unit) {
  const dropIn = '/etc/systemd/system/smallservd.service.d/sockets.conf';
  await type('unix: drop-in', `printf '[Service]\\nRuntimeDirectory=smallservd\\n' > ${dropIn}`);
  const directory = '/run/smallservd';
  const add = (file, before) => edit(config, [before, `${before}"unix://${directory}/${file}", `]);
  add('open.sock?mode=0666', 'listen: [');
  await type('unix: daemon-reload', 'systemctl daemon-reload');
  await type('unix: restart', 'systemctl restart smallservd.service');
  note('unix: open', {
    ...fileAt(`${directory}/open.sock`),
    answer: await tcp(undefined, 'here\n', `${directory}/open.sock`),
  });
  add('group.sock?group=www-data', 'listen: [');
  await call('systemctl restart smallservd.service');
  note('unix: group without the right', await show(unit, 'ActiveState', 'ExecMainStatus'));
  appendFileSync(dropIn, 'SupplementaryGroups=www-data\nSystemCallFilter=@chown\n');
  await call('systemctl daemon-reload');
  await type('unix: restart with the group', 'systemctl restart smallservd.service');
  note('unix: group', { ...fileAt(`${directory}/group.sock`), ...(await show(unit, 'ActiveState')) });
  edit(
    config,
    [`"unix://${directory}/open.sock?mode=0666", `, ''],
    [`"unix://${directory}/group.sock?group=www-data", `, ''],
  );
  await type('unix: restart without', 'systemctl restart smallservd.service');
}

/** Who a file is for. */
function fileAt(path) {
  const { mode, gid } = statSync(path);
  return { mode: (mode & 0o7777).toString(8), gid };
}

async function plain() {
  const unit = 'smallservd.service';
  await type('plain: dry run', 'smallservd install-service --dry-run');
  note('plain: after the dry run', { written: existsSync(`/etc/systemd/system/${unit}`) || existsSync(config) });
  await type('plain: install', 'smallservd install-service');
  await type('plain: daemon-reload', 'systemctl daemon-reload');
  await type('plain: enable', 'systemctl enable --now smallservd.service');
  const { MainPID } = await show(unit, 'MainPID');
  note('plain: answers', await ask());
  note('plain: identity', identity(MainPID));
  note('plain: worker identity', identity((await workersOf(unit))[0]));
  note('plain: unit', await show(unit, 'ActiveState', 'SubState', 'StatusText', 'NRestarts', 'UnitFileState'));
  await type('plain: systemctl status', 'systemctl status smallservd.service');
  await type('plain: status', `smallservd status --config ${config}`);
  await type('plain: log', 'journalctl --unit smallservd.service --priority warning');
  await type('plain: whole log', 'journalctl --unit smallservd.service --output cat --no-pager');

  edit(config, ['format: rfc867', 'format: iso8601'], ['grace: 10s', 'grace: 4s']);
  await type('plain: check', `smallservd check --config ${config}`);
  await type('plain: difference', `smallservd check --diff --config ${config}`);
  await type('plain: reload', 'systemctl reload smallservd.service');
  note('plain: answers after the reload', await ask());
  note('plain: unit after the reload', await show(unit, 'ActiveState', 'SubState', 'MainPID', 'NRestarts'));
  note('plain: before the reload', { MainPID });

  edit(config, ['format: iso8601', 'format: wrong']);
  await type('plain: wrong reload', 'systemctl reload smallservd.service');
  note('plain: answers after the wrong reload', await ask());
  await until('running again', async () => (await show(unit, 'SubState')).SubState === 'running');
  note('plain: unit after the wrong reload', await show(unit, 'ActiveState', 'MainPID', 'NRestarts', 'StatusText'));
  await type(
    'plain: log of the wrong reload',
    'journalctl --unit smallservd.service --output cat --no-pager --lines 20',
  );
  edit(config, ['format: wrong', 'format: iso8601']);

  const workers = await workersOf(unit);
  process.kill(workers[0], 'SIGKILL');
  note('plain: answers after the death of a worker', await ask());
  const isReplaced = async () => {
    const { stdout } = await call(`smallservd status --json --config ${config}`);
    const ready = JSON.parse(stdout).workers.filter(({ status }) => status === 'ready');
    return ready.length === workers.length && !ready.some(({ pid }) => pid === workers[0]);
  };
  await until('another worker', isReplaced);
  note('plain: unit after the death of a worker', await show(unit, 'ActiveState', 'MainPID', 'NRestarts'));

  await type('plain: drop-in directory', 'mkdir -p /etc/systemd/system/smallservd.service.d');
  const dropIn = '/etc/systemd/system/smallservd.service.d/watchdog.conf';
  await type('plain: drop-in', `printf '[Service]\\nWatchdogSec=5s\\n' > ${dropIn}`);
  await type('plain: daemon-reload for the drop-in', 'systemctl daemon-reload');
  await type('plain: restart', 'systemctl restart smallservd.service');
  const start = await show(unit, 'ActiveEnterTimestampMonotonic', 'WatchdogUSec', 'MainPID');
  // Fed at a time when without food it would be dead.
  const wasFedSince = async (microseconds) =>
    Number((await show(unit, 'WatchdogTimestampMonotonic')).WatchdogTimestampMonotonic) > microseconds;
  await until('food for the watchdog', () => wasFedSince(Number(start.ActiveEnterTimestampMonotonic) + 6e6));
  note('plain: watchdog fed', { ...start, ...(await show(unit, 'NRestarts', 'SubState')) });
  const all = [Number(start.MainPID), ...(await workersOf(unit))];
  for (const pid of all) process.kill(pid, 'SIGSTOP');
  await until('a restart', async () => {
    const { NRestarts, SubState } = await show(unit, 'NRestarts', 'SubState');
    return NRestarts === '1' && SubState === 'running';
  });
  note('plain: answers after the watchdog', await ask());
  note('plain: unit after the watchdog', await show(unit, 'MainPID', 'NRestarts', 'ActiveState'));
  note('plain: left after the watchdog', { pids: all.filter((pid) => existsSync(`/proc/${pid}`)) });
  await type('plain: log of the watchdog', 'journalctl --unit smallservd.service --output cat --no-pager --lines 200');

  await unixSockets(unit);

  const lastLines = 'journalctl --sync; journalctl --unit smallservd.service --output cat --no-pager --lines 5';
  const client = connect(7, '127.0.0.1').setEncoding('latin1');
  await once(client, 'connect');
  client.write('one\n');
  const [first] = await once(client, 'data');
  await call('systemctl stop --no-block smallservd.service');
  await until('no new client', async () => (await tcp(13)).error === 'ECONNREFUSED');
  note('plain: unit while stopping', await show(unit, 'ActiveState', 'StatusText'));
  client.write('two\n');
  const [second] = await once(client, 'data');
  client.end();
  await until('the stop', async () => (await show(unit, 'ActiveState')).ActiveState !== 'deactivating');
  note('plain: stopped', { first, second });
  await type('plain: log of the stop', lastLines);

  await call('systemctl start smallservd.service');
  const stayer = connect(7, '127.0.0.1').on('error', () => {});
  await once(stayer, 'connect');
  stayer.write('here\n');
  await once(stayer, 'data');
  await call('systemctl stop smallservd.service');
  await type('plain: log of the stop with a client that stays', lastLines);
  stayer.destroy();
  await type('plain: removal too early', 'smallservd install-service --remove');
  await type('plain: disable', 'systemctl disable --now smallservd.service');
  await type('plain: remove', 'smallservd install-service --remove');
  await type('plain: daemon-reload at the end', 'systemctl daemon-reload');
  note('plain: left', { unit: existsSync(`/etc/systemd/system/${unit}`), config: existsSync(config) });
}

/** Clients without pause on all lanes while something happens: how many were answered, and what befell the others. */
async function during(action) {
  const over = new AbortController();
  const faults = {};
  let answered = 0;
  let asked = 0;
  const lane = async (send, port, name) => {
    while (!over.signal.aborted) {
      asked += 1;
      const text = `${name} ${asked}\n`;
      const answer = await send(port, text);
      if (answer === text) answered += 1;
      else
        faults[`${name} ${answer.error ?? 'wrong answer'}`] =
          (faults[`${name} ${answer.error ?? 'wrong answer'}`] ?? 0) + 1;
    }
  };
  const lanes = Array.from({ length: 16 }, (_, index) => (index < 12 ? lane(tcp, 7, 'tcp') : lane(udp, 7, 'udp')));
  const results = [];
  for (const each of action) results.push(await each());
  over.abort();
  await Promise.all(lanes);
  return { asked, answered, faults, results };
}

/** The directory of a socket's drop-ins. */
function drop(name) {
  return `/etc/systemd/system/smallservd-${name}.socket.d`;
}

async function sandboxed() {
  const unit = 'smallservd-sandboxed.service';
  await type('sandboxed: install', 'smallservd install-service --sandboxed');
  await type('sandboxed: daemon-reload', 'systemctl daemon-reload');
  await type('sandboxed: enable', 'systemctl enable --now smallservd-sandboxed.service');
  const { MainPID } = await show(unit, 'MainPID');
  note('sandboxed: answers', await ask());
  note('sandboxed: more answers', { qotd: await tcp(17), systat: await tcp(11), discard: await tcp(9, 'here\n') });
  note('sandboxed: identity', identity(MainPID));
  note('sandboxed: worker identity', identity((await workersOf(unit))[0]));
  note('sandboxed: unit', await show(unit, 'ActiveState', 'SubState', 'StatusText', 'NRestarts', 'UnitFileState'));
  await type('sandboxed: sockets', "systemctl list-sockets --no-legend 'smallservd-*'");
  await type('sandboxed: status', 'smallservd status --admin tcp://127.0.0.1:9013');
  await type('sandboxed: status by the UNIX socket', 'smallservd status --admin unix:///run/smallservd/admin.sock');

  edit(sockets, ['format: rfc867', 'format: iso8601']);
  await type('sandboxed: reload', 'systemctl reload smallservd-sandboxed.service');
  note('sandboxed: answers after the reload', await ask());
  note('sandboxed: unit after the reload', {
    before: MainPID,
    ...(await show(unit, 'MainPID', 'NRestarts', 'ActiveState')),
  });

  const restart = () => call('systemctl restart smallservd-sandboxed.service');
  note('sandboxed: restarts under load', await during([restart, restart]));
  note('sandboxed: unit after the restarts', {
    before: MainPID,
    ...(await show(unit, 'MainPID', 'NRestarts', 'ActiveState')),
  });
  await type('sandboxed: restart', 'systemctl restart smallservd-sandboxed.service');

  for (const pid of await workersOf(unit)) process.kill(pid, 'SIGKILL');
  const echo = await tcp(7, 'here\n');
  note('sandboxed: all workers killed', { echo, ...(await show(unit, 'NRestarts', 'SubState')) });
  note('sandboxed: answers after the death of all workers', await ask());

  await call(`systemctl stop ${unit}`);
  note('sandboxed: stopped', await show(unit, 'ActiveState', 'Result'));
  const isActive = async () => (await show(unit, 'ActiveState')).ActiveState === 'active';
  note('sandboxed: woken', { echo: await tcp(7, 'here\n') });
  await until('activity', isActive);
  await call(`systemctl stop ${unit}`);
  note('sandboxed: woken by a datagram', { echo: await udp(7, 'here\n') });
  await until('activity', isActive);

  await type('sandboxed: drop-in directories', `mkdir -p ${drop('echo-tcp')} ${drop('chargen-tcp')}`);
  const address = '[Socket]\\nListenStream=\\nListenStream=127.0.0.1:7\\n';
  await type('sandboxed: address', `printf '${address}' > ${drop('echo-tcp')}/address.conf`);
  await type('sandboxed: never', `printf '[Unit]\\nConditionPathExists=!/\\n' > ${drop('chargen-tcp')}/never.conf`);
  edit(sockets, ['  chargen:\n    listen: ["systemd:chargen-tcp"]\n', '']);
  await type('sandboxed: daemon-reload for the address', 'systemctl daemon-reload');
  await type('sandboxed: stop', "systemctl stop 'smallservd-*.socket' smallservd-sandboxed.service");
  await type('sandboxed: start', 'systemctl start smallservd-sandboxed.service');
  note('sandboxed: answers at one address', { ...(await ask()), chargen: await tcp(19) });

  await type('sandboxed: removal too early', 'smallservd install-service --sandboxed --remove');
  await type('sandboxed: disable', 'systemctl disable smallservd-sandboxed.service');
  await type('sandboxed: stop at the end', "systemctl stop 'smallservd-*.socket' smallservd-sandboxed.service");
  await type('sandboxed: remove', 'smallservd install-service --sandboxed --remove');
  await type('sandboxed: daemon-reload at the end', 'systemctl daemon-reload');
  const left = readdirSync('/etc/systemd/system', { recursive: true }).filter((path) =>
    /smallservd-[\w-]*\.(socket|service)$/.test(path),
  );
  note('sandboxed: left', { units: left, config: existsSync(sockets), echo: await tcp(7) });
  await type('sandboxed: log', 'journalctl --unit smallservd-sandboxed.service --output cat --no-pager --lines 200');
}

/** From Debian's package instead of what npm installs. */
async function packaged() {
  const unit = 'smallservd.service';
  await call('umount /usr/lib/smallservd');
  await call('rm --recursive --force /etc/smallservd /etc/systemd/system/smallservd* /usr/local/bin/smallservd');
  await call('systemctl daemon-reload; systemctl reset-failed');
  // Node is there, and no package of Debian's.
  await type('packaged: install', 'dpkg --force-depends --install /found/smallservd.deb');
  note('packaged: unit after the installation', await show(unit, 'ActiveState', 'UnitFileState'));
  await type('packaged: enable', 'systemctl enable --now smallservd.service');
  note('packaged: answers', await ask());
  edit(config, ['format: rfc867', 'format: iso8601']);
  await type('packaged: reload', 'systemctl reload smallservd.service');
  note('packaged: answers after the reload', await ask());
  await type('packaged: client', 'smallserv daytime localhost');
  await type('packaged: purge', 'dpkg --force-depends --purge smallservd');
  note('packaged: left', {
    package: existsSync('/usr/lib/smallservd/dist'),
    config: existsSync('/etc/smallservd'),
    daytime: await tcp(13),
    ...(await show(unit, 'LoadState')),
  });
}

// npm makes this link; where it stands in a package, the program may not be executable yet.
symlinkSync('/usr/lib/smallservd/dist/smallservd.js', '/usr/local/bin/smallservd');
for (const scenario of [outOfReach, plain, sandboxed, packaged]) {
  try {
    await scenario();
  } catch (error) {
    note(`${scenario.name}: failed`, { error: error.stack });
    for (const unit of ['smallservd.service', 'smallservd-sandboxed.service'])
      await type(`${scenario.name}: failed: log`, `journalctl --unit ${unit} --no-pager --lines 200`);
    await call("systemctl stop 'smallservd*'");
  }
}
note('end', {});
