/** Names and sizes that the demo's generator, job and account share. */
export const ORDERS_TOPIC = 'orders'
export const LARGE_ORDERS_TOPIC = 'large-orders'
export const GROUP_ID = 'millrace-demo'
/** Order i is record floor(i / PARTITIONS) of partition i mod PARTITIONS: offsets say which orders were read. */
export const PARTITIONS = 4
