import type { JsonObject } from './types.js';

/** A value that a condition compares with. Comparison never crosses JSON types. */
export type FilterValue = string | number | boolean | null;

/** Conditions on one field; all of them must hold. */
export interface FieldConditions<Value> {
  /** Equal. */
  $eq?: Value | undefined;
  /** The complement of `$eq`: matches where the field is missing, too. */
  $ne?: Value | undefined;
  /** Greater; numbers by value, strings by their bytes. */
  $gt?: Value | undefined;
  /** Greater or equal. */
  $gte?: Value | undefined;
  /** Less. */
  $lt?: Value | undefined;
  /** Less or equal. */
  $lte?: Value | undefined;
  /** Equal to any of these. */
  $in?: readonly Value[] | undefined;
  /** The complement of `$in`: matches where the field is missing, too. */
  $nin?: readonly Value[] | undefined;
  /** Whether the field is there; `null` is. */
  $exists?: boolean | undefined;
}

/** A value (equal to it), or conditions by operator. */
export type Condition<Value> = Value | FieldConditions<Value>;

/** The scalars of a field; a condition on a list holds if any of its elements satisfies it. */
type Scalars<Value> = Value extends readonly (infer Element)[]
  ? Scalars<Element>
  : Value extends FilterValue
    ? Value
    : never;

/** Steps that a dotted path is typed for; deeper ones are not offered. */
type Depth = [never, 0, 1, 2, 3];

/** Conditions on the fields of `Metadata`, each by its dotted path below `Prefix`. */
type FieldsOf<Metadata, Prefix extends string, Left extends number> = [Left] extends [never]
  ? never
  : Metadata extends readonly (infer Element)[]
    ? FieldsOf<Element, Prefix, Left>
    : Metadata extends object
      ? {
          [Key in keyof Metadata & string]:
            | [`${Prefix}${Key}`, Scalars<NonNullableUndefined<Metadata[Key]>>]
            | FieldsOf<NonNullable<Metadata[Key]>, `${Prefix}${Key}.`, Depth[Left]>;
        }[keyof Metadata & string]
      : never;

type NonNullableUndefined<Value> = Exclude<Value, undefined>;

/** Conditions on a metadata type that is not known: any path, any value. */
interface UntypedFields {
  [path: string]: Condition<FilterValue> | Filter | readonly Filter[] | undefined;
}

/** Conditions on a metadata type that is known: its paths and their values. */
type TypedFields<Metadata extends object> =
  FieldsOf<Metadata, '', 4> extends infer Field
    ? {
        [Pair in Field as Pair extends [infer Path extends string, unknown]
          ? Path
          : never]?: Pair extends [string, infer Value] ? Condition<Value> | undefined : never;
      }
    : never;

/** How filters are combined. */
interface Combinators<Metadata extends object> {
  /** All of these hold. */
  $and?: readonly Filter<Metadata>[] | undefined;
  /** Any of these holds. */
  $or?: readonly Filter<Metadata>[] | undefined;
  /** This does not hold. */
  $not?: Filter<Metadata> | undefined;
}

/**
 * A condition on metadata: `{field: value}` or `{field: {$op: value}}`; several fields must all
 * hold. A dot steps into objects. At most 16 levels, 1,024 conditions, 10,000 values in a list.
 *
 * @example
 * const filter: Filter<{ kind: string; price: number }> = {
 *   kind: { $in: ['book', 'map'] },
 *   $not: { price: { $gte: 100 } },
 * };
 */
export type Filter<Metadata extends object = JsonObject> = Combinators<Metadata> &
  (string extends keyof Metadata ? UntypedFields : TypedFields<Metadata>);
