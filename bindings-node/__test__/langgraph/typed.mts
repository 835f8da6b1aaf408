// Do the types of the checkpointer, which are written without LangGraph's, fit those of LangGraph?

import { type BaseCheckpointSaver, MemorySaver, MessagesAnnotation, StateGraph } from '@langchain/langgraph';
import { StateStore, workflows } from 'quorate';
import { LangGraphSaver } from 'quorate/langgraph';

const store = new StateStore();
const named: workflows.LangGraphSaver = new workflows.LangGraphSaver(store, { serde: new MemorySaver().serde });
const direct: LangGraphSaver = new LangGraphSaver(store);
export const savers: BaseCheckpointSaver[] = [named, direct];

class Counting extends workflows.LangGraphSaver {
  puts = 0;
  override async put(...given: Parameters<workflows.LangGraphSaver['put']>) {
    this.puts += 1;
    return super.put(...given);
  }
}

export const graph = new StateGraph(MessagesAnnotation)
  .addNode('n', () => ({ messages: [] }))
  .addEdge('__start__', 'n');
for (const checkpointer of [named, direct, new Counting(store), undefined]) graph.compile({ checkpointer });

// @ts-expect-error A folder is no store.
new workflows.LangGraphSaver('runs/');
