import { execFile, spawn } from 'node:child_process';
import { release } from 'node:os';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

/** Listens on a path, and sends its first client bytes along with a descriptor. Prints the error, or `sent`. */
const script = `
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
client, _ = listener.accept()
try:
    socket.send_fds(client, [sys.argv[2].encode()], [0])
    print("sent", flush=True)
except OSError as error:
    print(error.errno, flush=True)
client.recv(1)
`;

/** What a sender hears where the kernel can refuse, EPERM since Linux 6.16, and where it cannot. */
export function expectedRefusal(): string {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 16) ? '1' : 'sent';
}

/** Starts such a listener. Returns what resolves with what it printed. */
export async function sendDescriptorAt(path: string, bytes: string): Promise<() => Promise<string>> {
  const sender = spawn('python3', ['-c', script, path, bytes], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void sender.kill('SIGKILL'));
  const lines = createInterface({ input: sender.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return async () => String((await lines.next()).value);
}

const sendScript = `
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
try:
    socket.send_fds(client, [b"x"], [0])
    print("sent")
except OSError as error:
    print(error.errno)`;

/** Sends a byte along with a descriptor to the listener on a path. Returns the error number, or `sent`. */
export async function sendDescriptorTo(path: string): Promise<string> {
  return (await promisify(execFile)('python3', ['-c', sendScript, path])).stdout.trim();
}

/**
 * Listens at a path as a service manager does, lets clients connect and send bytes, and then becomes the command, which
 * inherits the listener as descriptor 3, as another user if one is named. The first client and the last send a
 * descriptor along whose close waits for an hour, the one in between does not. What they receive at first is written to
 * a file once all have received something, or their end.
 */
const activation = `
import array, json, os, socket, struct, sys
path, results, user, text, *command = sys.argv[1:]

def lingering():
    sink = socket.socket()
    sink.bind(("127.0.0.1", 0))
    sink.listen()
    full = socket.socket()
    full.connect(sink.getsockname())
    peer, _ = sink.accept()
    full.setblocking(False)
    try:
        while True:
            full.send(bytes(65536))
    except BlockingIOError:
        pass
    full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return full, peer

def early(rights):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.sendmsg([text.encode()], rights)
    return client

def hostile():
    full, peer = lingering()
    client = early([(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [full.fileno()]))])
    # What is queued is the last reference.
    full.close()
    return client, peer

listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen()
connected, told = os.pipe()
if os.fork() == 0:
    clients = [hostile(), (early([]), None), hostile()]
    listener.close()
    os.close(told)
    for standard in 0, 1, 2:
        os.dup2(os.open("/dev/null", os.O_RDWR), standard)
    received = []
    for client, _ in clients:
        try:
            received.append(client.recv(1000).decode())
        except ConnectionResetError:
            received.append("")
    with open(results + ".new", "w") as file:
        json.dump(received, file)
    os.rename(results + ".new", results)
    sys.exit()
os.close(told)
os.read(connected, 1)
os.close(connected)
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
if user:
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
os.execv(command[0], command)`;

/** The command of such a process, up to the arguments of `command`. */
export function activatedCommand(
  at: { readonly path: string; readonly results: string; readonly user?: number; readonly text: string },
  command: readonly string[],
): readonly [string, ...string[]] {
  return ['python3', '-c', activation, at.path, at.results, String(at.user ?? ''), at.text, ...command];
}
