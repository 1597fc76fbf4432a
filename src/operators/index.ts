export {
  type AssignTimestampsOptions,
  assignTimestampsAndWatermarks,
} from './assign-timestamps-operator.ts'
export { type FilterCallback, filterOperator } from './filter-operator.ts'
export { type FlatMapCallback, type FlatMapResult, flatMapOperator } from './flat-map-operator.ts'
export { type MapCallback, mapOperator } from './map-operator.ts'
export { isThenable, userFunctionAsync, userFunctionFailed } from './user-function.ts'
