/** What the demo asks: things that the documentation of common packages answers. */
export const QUESTIONS: readonly string[] = [
  'how to pin a dependency version with tilde and caret ranges',
  'what does esModuleInterop do',
  'how to watch files for changes',
  'readable stream back-pressure and highWaterMark',
  'parse command line arguments',
  'match file paths with glob patterns',
  'run tests in parallel with a test runner',
  'read a file as a string with a given encoding',
  'create a temporary directory',
  'abort a fetch request with a signal',
];
