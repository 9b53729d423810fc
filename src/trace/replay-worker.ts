/** What a worker thread of a replay runs. */
import { runTask } from './replay-task.ts';
import { serveTasks } from './worker-pool.ts';

serveTasks(runTask);
