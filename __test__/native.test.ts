import test from 'ava';
import { VolleyError } from '../src/errors.js';
import { binding, load, platformNames } from '../src/native/binding.js';

test('the addon of this platform loads and says its version', (t) => {
  t.regex(binding().version(), /^\d+\.\d+\.\d+/);
});

test('every published platform has a name', (t) => {
  t.deepEqual(platformNames('linux', 'x64'), ['linux-x64-gnu', 'linux-x64-musl']);
  t.deepEqual(platformNames('linux', 'arm64'), ['linux-arm64-gnu', 'linux-arm64-musl']);
  t.deepEqual(platformNames('darwin', 'arm64'), ['darwin-arm64']);
  t.deepEqual(platformNames('win32', 'x64'), ['win32-x64-msvc']);
  t.deepEqual(platformNames('linux', 'ia32'), []);
  t.deepEqual(platformNames('aix', 'x64'), []);
});

test('a missing addon is an error that names its package and how to build it', (t) => {
  const error = t.throws(() => load(['plan9-x64']), { instanceOf: VolleyError });
  t.is(error?.code, 'UNSUPPORTED');
  t.regex(error?.message ?? '', /volleydb-plan9-x64.*--omit=optional.*npm run build/);
  t.is(error?.cause, undefined);
});

test('a platform without a package is told to build from source', (t) => {
  const error = t.throws(() => load([]), { instanceOf: VolleyError });
  t.regex(error?.message ?? '', /no native part.*npm run build/);
});
