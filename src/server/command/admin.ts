import type { ListenAddress } from '../../address/listen-address.ts';
import { AdminClient } from '../admin/client.ts';
import { formats } from '../config/formats.ts';
import { loadConfig } from '../config/load.ts';
import { SmallservdError } from '../../errors.ts';
import { type ConfigOptions, readSource } from './config-options.ts';

/** How a command finds the running daemon. */
export interface AdminOptions extends ConfigOptions {
  /** A listen address; defaults to `admin.listen` in the config. */
  readonly admin?: string;
}

/** Throws `ADMIN_UNKNOWN` if neither the command line nor the config names an address. */
export async function adminClient(options: AdminOptions): Promise<AdminClient> {
  return new AdminClient(options.admin === undefined ? await addressInConfig(options) : parse(options.admin));
}

function parse(text: string): ListenAddress {
  const reading = formats.adminListen.read(text, '');
  if ('value' in reading && (reading.value.scheme === 'tcp' || reading.value.scheme === 'unix')) return reading.value;
  const expected = 'a TCP address or a UNIX socket, such as tcp://127.0.0.1:9013 or unix:///run/smallservd/admin.sock';
  const fault = 'flaws' in reading && text.startsWith('unix:') ? reading.flaws[0]?.message : undefined;
  throw new SmallservdError('ADMIN_UNKNOWN', `--admin: ${fault ?? `${JSON.stringify(text)} is not ${expected}`}`);
}

async function addressInConfig(options: ConfigOptions): Promise<ListenAddress> {
  const source = await readSource(options);
  const { listen } = (await loadConfig(source, { importModules: false })).config.admin;
  if (listen !== null) return listen;
  const message = `${source.name} does not set admin.listen: set it, or pass the address with --admin`;
  throw new SmallservdError('ADMIN_UNKNOWN', message);
}
