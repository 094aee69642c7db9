import { describe, expect, it } from 'vitest';
import { parseOpenFilesLimit, readOpenFiles } from '../../src/open-files.ts';

describe('the limit on open files', () => {
  it('is the soft limit', () => {
    const text = [
      'Limit                     Soft Limit           Hard Limit           Units     ',
      'Max processes             63432                63432                processes ',
      'Max open files            1024                 1048576              files     ',
    ].join('\n');
    expect(parseOpenFilesLimit(text)).toBe(1024);
  });

  it.each(['', 'Max open files            unlimited            unlimited            files'])(
    'may be missing or unlimited: %j',
    (text) => {
      expect(parseOpenFilesLimit(text)).toBeUndefined();
    },
  );

  it('exceeds the open descriptors of this process', () => {
    const files = readOpenFiles();
    expect(files?.open).toBeGreaterThan(3);
    expect(files?.limit).toBeGreaterThan(files?.open ?? 0);
  });
});
