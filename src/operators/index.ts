export {
  AssignTimestampsOperator,
  type AssignTimestampsOptions,
  assignTimestampsAndWatermarks,
} from './assign-timestamps-operator.ts'
export { type FilterCallback, FilterOperator, filterOperator } from './filter-operator.ts'
export { type FlatMapCallback, FlatMapOperator, type FlatMapResult, flatMapOperator } from './flat-map-operator.ts'
export { type MapCallback, MapOperator, mapOperator } from './map-operator.ts'
export { isThenable, userFunctionAsync, userFunctionFailed } from './user-function.ts'
