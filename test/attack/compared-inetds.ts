import { type InetdName, inetds } from '../system/inetds.ts';
import { isNode } from './sockets.ts';

/** The inetds that are attacked for comparison: once, with the kernel's sockets. */
export const comparedInetds: readonly InetdName[] = isNode ? [] : (Object.keys(inetds) as InetdName[]);
