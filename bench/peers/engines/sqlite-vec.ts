import { join } from 'node:path';
import { type Contender, peer, rowsOf, type Setting } from '../engine.js';
import { versionOf } from './versions.js';

interface Statement {
  run(values: unknown[]): void;
  all(values: unknown[]): { id: number }[];
}

interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  loadExtension(path: string): void;
  close(): void;
}

interface Libsql {
  default: new (path: string) => Database;
}

interface SqliteVec {
  getLoadablePath(): string;
}

export const sqliteVec: Contender = {
  name: 'sqlite-vec',
  durability: 'log, synced',
  remark: 'exact: compares with every row; one thread; SQLite of libsql, WAL, synchronous = FULL',
  approximate: false,
  searchThreads: () => [1],
  open: openSqliteVec,
};

async function openSqliteVec({ dimension, folder }: Setting) {
  const { default: Database } = await peer<Libsql>('libsql');
  const { getLoadablePath } = await peer<SqliteVec>('sqlite-vec');
  const database = new Database(join(folder, 'records.db'));
  database.loadExtension(getLoadablePath());
  database.exec('pragma journal_mode = wal');
  database.exec('pragma synchronous = full');
  database.exec(
    `create virtual table records using vec0(
       id integer primary key, v float[${dimension}] distance_metric=cosine)`,
  );
  const insert = database.prepare('insert into records (id, v) values (?, ?)');
  const nearest = database.prepare(
    'select id from records where v match ? and k = ? order by distance',
  );
  const bytes = (row: Float32Array) => Buffer.from(row.buffer, row.byteOffset, row.byteLength);
  return {
    version: `${versionOf('sqlite-vec')}, ${versionOf('libsql')}`,
    insertsInFlight: 1,
    queriesPerCall: 10,
    searchesInFlight: () => 1,
    insert({ firstRow, vectors }: { firstRow: number; vectors: Float32Array }) {
      database.exec('begin');
      let row = BigInt(firstRow);
      for (const vector of rowsOf(vectors, dimension)) insert.run([row++, bytes(vector)]);
      database.exec('commit');
    },
    indexed() {},
    tune() {},
    // Parameters go in as one list: the host takes a single buffer for something else.
    search: (queries: Float32Array, k: number) =>
      Array.from(rowsOf(queries, dimension), (query) =>
        nearest.all([bytes(query), k]).map(({ id }) => id),
      ),
    close: () => database.close(),
  };
}
