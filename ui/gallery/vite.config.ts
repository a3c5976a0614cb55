// Builds the gallery into gallery/dist: plain files that any static server shows. Never in the binary.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  publicDir: '../public',
  plugins: [react()],
  build: { outDir: 'dist', emptyOutDir: true, target: ['chrome123', 'firefox121', 'safari17.5'] },
});
