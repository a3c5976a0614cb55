// English: pods and their containers.
export const pods = {
  'list.pod': 'Pod',
  'pod.containers': 'Containers',
  'pod.sidecar': 'sidecar',
  'pod.outputOf': 'Output of {name}',
} as const;
