// Questions to begin with, by what the served model was trained on. Knows the model's card only.

const GRAPHS = [
  {
    name: '9 facts',
    question:
      'Every jompus is a worpus. Every vumpus is a jompus. Every terpus is a worpus. Every vumpus is a lempus. Every bompus is a worpus. Every vumpus is a terpus. Rex is a gwompus. Tom is a vumpus. Every terpus is a bompus. Is Tom a worpus or gwompus?',
  },
  {
    name: '14 facts',
    question:
      'Every quimpus is a wumpus. Every wumpus is a hilpus. Every jompus is a hilpus. Every brimpus is a storpus. Every sterpus is a kerpus. Every jompus is a wumpus. Polly is a wumpus. Bob is a fompus. Every brimpus is a jompus. Every jompus is a sterpus. Every boompus is a quimpus. Polly is a brimpus. Every brimpus is a boompus. Bob is a impus. Is Polly a impus or kerpus?',
  },
  {
    name: '33 facts',
    question:
      'Every jelpus is a brimpus. Every jelpus is a boompus. Every gwompus is a yumpus. Every worpus is a sterpus. Wren is a bompus. Every sterpus is a jompus. Every numpus is a chorpus. Every worpus is a boompus. Every worpus is a quimpus. Every worpus is a chorpus. Every jelpus is a worpus. Every lempus is a tumpus. Every quimpus is a boompus. Every jelpus is a chorpus. Gabriel is a jelpus. Every bompus is a lempus. Every numpus is a kerpus. Wren is a yerpus. Every yerpus is a lempus. Every gorpus is a sterpus. Every numpus is a hilpus. Every kerpus is a boompus. Every bompus is a gwompus. Wren is a lempus. Every gorpus is a jompus. Every chorpus is a kerpus. Every quimpus is a hilpus. Every jelpus is a numpus. Every chorpus is a gorpus. Every jompus is a shumpus. Every bompus is a tumpus. Every sterpus is a boompus. Every numpus is a quimpus. Is Gabriel a tumpus or shumpus?',
  },
  {
    name: '42 facts',
    question:
      'Every chorpus is a lempus. Every sterpus is a brimpus. Every rempus is a lorpus. Every brimpus is a yumpus. Every fompus is a gorpus. Every chorpus is a zumpus. Every yimpus is a impus. Every brimpus is a rompus. Every worpus is a zumpus. Every lorpus is a hilpus. Every terpus is a yimpus. Every yumpus is a lempus. Every sterpus is a yumpus. Every chorpus is a timpus. Every timpus is a worpus. Every yimpus is a gorpus. Every rompus is a rorpus. Every terpus is a lempus. Every timpus is a impus. Every rompus is a gwompus. Every gwompus is a rempus. Every chorpus is a yimpus. Every brimpus is a impus. Carol is a yimpus. Every terpus is a chorpus. Carol is a timpus. Every impus is a jelpus. Eva is a sterpus. Eva is a brimpus. Every timpus is a lempus. Every lempus is a grimpus. Every yimpus is a timpus. Every impus is a grimpus. Carol is a terpus. Every timpus is a fompus. Every rempus is a hilpus. Eva is a yumpus. Every rempus is a jelpus. Every yimpus is a worpus. Every gorpus is a worpus. Every yumpus is a rompus. Every rompus is a jelpus. Is Eva a hilpus or zumpus?',
  },
];

const SUMS = [
  {
    name: 'Rolls',
    question: 'A baker fills 6 boxes with 8 rolls each and sells 15 of the rolls. How many rolls are left?',
  },
  {
    name: 'Chairs',
    question:
      'A hall has 12 rows of 9 chairs. 4 rows are taken away and 7 single chairs are brought. How many chairs are there now?',
  },
];

// What the model is for, questions, and which of them to begin with: by the names under which checkpoints of the families
// are published. Nothing tells the task of others.
export function examplesFor(model) {
  const card = `${model.id} ${model.coconut.family} ${model.coconut.description}`.toLowerCase();
  if (card.includes('prosqa')) {
    const about =
      'This model knows one kind of riddle: facts about beings that nobody has met, and which of two things follows.';
    return { about, examples: GRAPHS, first: GRAPHS[1], other: GRAPHS[0] };
  }
  if (/gsm|codi|sim-?cot/.test(card)) {
    return { about: 'This model was trained on sums in words.', examples: SUMS, first: SUMS[0], other: SUMS[1] };
  }
  return { about: '', examples: [] };
}
