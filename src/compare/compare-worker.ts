/** What a worker thread of a comparison runs. */
import { serveTasks } from '../trace/worker-pool.ts';
import { runTask } from './task.ts';

serveTasks(runTask);
