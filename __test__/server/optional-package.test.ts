import test from 'ava';
import { loadOptional } from '../../src/server/optional-package.js';

test('a package that is missing is named, with the command that installs it', async (t) => {
  const name = 'volleydb-no-such-package';
  const load = () => import(name);
  const error = await t.throwsAsync(loadOptional('gRPC', ['one', 'two'], load), {
    code: 'UNSUPPORTED',
  });
  t.is(error?.message, 'gRPC needs packages that are missing: npm install one two');
});

test('another failure is not taken for a missing package', async (t) => {
  const load = async () => {
    throw new Error('broken');
  };
  await t.throwsAsync(loadOptional('gRPC', [], load), { message: 'broken' });
});
