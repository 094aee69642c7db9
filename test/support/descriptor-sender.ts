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
