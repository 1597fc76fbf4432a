export {
  type AssignTimestampsOptions,
  assignTimestampsAndWatermarks,
} from './assign-timestamps-operator.ts'
export { type Aggregation, aggregateField } from './field-aggregations.ts'
export { type FilterCallback, filterOperator } from './filter-operator.ts'
export { type FlatMapCallback, type FlatMapResult, flatMapOperator } from './flat-map-operator.ts'
export { keyedProcessOperator } from './keyed-process-operator.ts'
export { keyedReduceOperator, type ReduceCallback } from './keyed-reduce-operator.ts'
export { type MapCallback, mapOperator } from './map-operator.ts'
export { type ProcessCallback, processOperator } from './process-operator.ts'
export { isThenable, userFunctionAsync, userFunctionFailed } from './user-function.ts'
